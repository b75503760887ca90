"""Numbers for programs: one value has one text, whether it was just computed or read from results.json."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")


def exact(value: _T) -> _T | int:
    """Return a number unrounded, as an `int` where it is whole; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
