"""Reads and writes a run's folder: journal, run file, results file and rendered files."""
