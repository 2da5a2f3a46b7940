"""Configuration that stands in files: changes noticed, YAML read. Called by providers."""
