"""A run as one verifiable file that can be run again."""
