"""A lab as values: names, addresses, rows, commands. Pure."""
