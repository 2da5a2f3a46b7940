"""One interconnection database: its file, its server, what both say of themselves."""
