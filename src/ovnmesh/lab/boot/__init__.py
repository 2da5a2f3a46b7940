"""A lab started, broken, healed and removed."""
