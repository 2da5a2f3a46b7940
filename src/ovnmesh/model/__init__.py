"""What a site should be and what it is. Pure: no I/O, no clock, no randomness."""
