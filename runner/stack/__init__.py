"""Builds the system under test, waits until it is ready, and takes it down."""
