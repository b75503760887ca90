"""Turns YAML text into a validated experiment and its trials, or into every problem with its position."""
