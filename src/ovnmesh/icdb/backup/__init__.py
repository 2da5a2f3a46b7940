"""Backups of both databases, and restoring them. Called by `cli.ic_db.backup`."""
