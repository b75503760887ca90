"""A run as one file: whole, checked to the byte, and ready to be run again."""
