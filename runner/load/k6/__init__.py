"""The load tool k6 as an engine: its own numbers, counted by our rules.

Needs k6 1.0 or newer on PATH. What k6 does not know (when a request was due, how late it was sent) stays
unknown here.
"""
