"""The command line as kubectl's plugin."""
