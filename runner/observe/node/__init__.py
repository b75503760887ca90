"""Observation of one node of a cluster by an agent without privileges."""
