"""Recordings and descriptions of traffic, made into a first specification (pure)."""
