"""From observed facts to what a person should know. Pure."""
