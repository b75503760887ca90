"""Frozen data that every package shares: facts, results, metrics, histograms, units and errors."""
