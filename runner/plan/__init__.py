"""In which order what was asked is run."""
