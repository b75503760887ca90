"""Numbers for people: about three significant digits, and never a 0 for what was not measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from runner.core.metric import Dimension

NOT_MEASURED: Final = "not measured"
NO_FINITE_VALUE: Final = "no finite value"
NOT_APPLICABLE: Final = "–"


def count(value: float | None) -> str:
    """Return a whole number with thousands separators."""
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Return requests per second: whole from 100 on, one decimal below, none where it is 0."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def ms(value: float | None) -> str:
    """Return milliseconds without the unit."""
    if value is None:
        return NOT_MEASURED
    decimals = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def cores(value: float | None) -> str:
    """Return CPU cores to two decimals; a little is less than 0.01 and not 0."""
    if value is None:
        return NOT_MEASURED
    return "< 0.01" if 0 < value < 0.005 else f"{value:,.2f}"


def share(value: float | None) -> str:
    """Return a fraction in per cent; values close to 0 or 100 % keep the digits that matter."""
    if value is None:
        return NOT_MEASURED
    percent = value * 100
    if 0 < percent < 0.05:
        return "< 0.1 %"
    if 99.95 <= percent < 100:
        return f"{percent:.2f} %" if percent < 99.995 else "> 99.99 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def micros(value: float | None) -> str:
    """Return microseconds or MiB without the unit: whole from 10 on, one decimal below."""
    return NOT_MEASURED if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def figure(value: float) -> str:
    """Return a number of any unit: whole if it is or from 100 on, else to two decimals."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def times(value: float) -> str:
    """Return a factor: "2.4 times"."""
    return f"{micros(value)} times"


def seconds(value: float) -> str:
    """Return a length of time."""
    return f"{value:g} s"


def listed(items: Sequence[str], word: str = "and") -> str:
    """Return items as a sentence has them: "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def plural(number: int, noun: str) -> str:
    """Return a number and its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


FORMATS: Final[Mapping[Dimension, Callable[[float | None], str]]] = {
    Dimension.TIME: ms,
    Dimension.SHARE: share,
    Dimension.SIZE: micros,
    Dimension.CORES: cores,
    Dimension.RATE: rate,
    Dimension.SCENARIO_RATE: rate,
    Dimension.COUNT: count,
}
"""How values of each dimension are written, without their unit."""
FORMATS_BY_UNIT: Final[Mapping[str, Callable[[float | None], str]]] = {
    "ms": ms, "cores": cores, "MiB": micros, "%": rate, "requests": count, "connections": rate,
}  # fmt: skip
"""How values of evidence are written, by its unit."""
NAMED_FORMATS: Final[Mapping[str, Callable[[float | None], str]]] = {
    form.__name__: form for form in (count, rate, ms, cores, share, micros)
}
"""Formats that a template of Markdown can name."""
