"""Numbers for programs: one value has one text, whether it was just computed or read from results.json."""

from __future__ import annotations


def exact(value: float) -> float:
    """Return a number unrounded, as an `int` where it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
