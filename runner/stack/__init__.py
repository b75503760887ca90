"""Builds the system under test, says when it is ready, and takes it down again."""
