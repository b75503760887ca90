"""What was asked: YAML text to an `Experiment`, or every problem with its position."""
