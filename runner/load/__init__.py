"""Load generation: the built-in worker processes, k6, and calibration.

This file imports nothing, so that workers start light.
"""
