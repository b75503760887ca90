"""Measurements for other programs: tables of a stored run, and metrics of a run in progress."""
