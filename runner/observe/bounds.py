"""Bounds of what is read from outside: what exceeds them is not readable, and never ends a run."""

from __future__ import annotations

import math
from typing import Final

from runner.core.units import BYTES_PER_MIB, Bytes, Seconds

MAX_VALUE: Final = 1e15
"""Also the largest number of `runner.core.result_values`: 32 years in microseconds, or a petabyte."""
MAX_COUNTERS: Final = 5_000
"""Of one source, such as the accept queues of one namespace."""
MAX_SERIES: Final = 20_000
"""Lines of a page with metrics."""
MAX_LINE_CHARACTERS: Final = 4_096
"""The parser's time grows with the square of a line's length."""
MAX_PAGE_BYTES: Final[Bytes] = BYTES_PER_MIB
MAX_PAGE_S: Final[Seconds] = 3.0
"""For all attempts to read a page together, from the connection to the last byte."""
MAX_PARSE_S: Final[Seconds] = 2.0


class BoundExceeded(ValueError):  # noqa: N818  (it is no error of this program)
    """Something that was read exceeds a bound; the message says which, as a clause."""


class PageUnreadable(Exception):  # noqa: N818  (it is no error of this program)
    """A page could not be fetched; the message says why, as a clause."""


def is_in_range(value: float) -> bool:
    """Return whether a value is finite and at most `MAX_VALUE`, positive or negative."""
    return math.isfinite(value) and abs(value) <= MAX_VALUE


def as_float(value: float) -> float:
    """Return a number as a float; a whole number beyond the range of floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def out_of_range(value: float) -> str | None:
    """Return why a counter's value is no measurement, as a clause; None for one from 0 to `MAX_VALUE`."""
    if 0 <= value <= MAX_VALUE:
        return None
    return f"its value, {value:g}, is not between 0 and {MAX_VALUE:g}"
