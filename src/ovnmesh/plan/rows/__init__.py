"""Which rows carry a decision: each module writes the tables it names, and no other. Pure."""
