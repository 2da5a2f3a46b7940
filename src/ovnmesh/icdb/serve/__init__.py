"""Serves both databases until told to stop."""
