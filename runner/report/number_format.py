"""Numbers for people: about three significant digits, and never a 0 for what was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NOT_MEASURED: Final = "not measured"


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Requests per second: whole from 100 on, one decimal below, none where it is 0."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def ms(value: float | None) -> str:
    """Milliseconds without the unit."""
    if value is None:
        return NOT_MEASURED
    decimals = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def cores(value: float | None) -> str:
    """CPU cores to two decimals; a little is less than 0.01 and not 0."""
    if value is None:
        return NOT_MEASURED
    return "< 0.01" if 0 < value < 0.005 else f"{value:.2f}"


def mib(value: float | None) -> str:
    """MiB, whole from 10 on."""
    return NOT_MEASURED if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def share(value: float | None) -> str:
    """A fraction in per cent; what is nearly all or nearly nothing keeps the digits that matter."""
    if value is None:
        return NOT_MEASURED
    percent = value * 100
    if 0 < percent < 0.05:
        return "< 0.1 %"
    if 99.95 <= percent < 100:
        return f"{percent:.2f} %" if percent < 99.995 else "> 99.99 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def micros(value: float | None) -> str:
    """Microseconds without the unit."""
    return NOT_MEASURED if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def times(value: float) -> str:
    """A factor in words that can follow "rose": "2.4 times as much"."""
    return f"{value:,.0f} times" if value >= 10 else f"{value:.1f} times"


def seconds(value: float) -> str:
    """A length of time."""
    return f"{value:g} s"


def listed(items: Sequence[str], word: str = "and") -> str:
    """Items as in a sentence: "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def plural(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
