"""OVSDB: connections, reading rows as plain data, applying plans. Knows no policy."""
