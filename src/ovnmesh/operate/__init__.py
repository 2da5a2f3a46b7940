"""What a person wants done, without a screen: commands show it, a web page or a test may."""
