"""Parses the YAML subset of specifications and keeps the position of every value."""
