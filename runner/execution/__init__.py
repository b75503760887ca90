"""Runs an experiment: the pipeline, its trials, and what happens on signals and faults."""
