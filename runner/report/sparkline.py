"""A row of numbers as a row of eight bar heights, for places that have no room for a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], *, top: float | None = None, width: int = 30) -> str:
    """One character a value, from 0 to `top`; longer rows are averaged down to `width` characters.

    Args:
        values: Not negative; None, a gap, is drawn as a blank.
        top: What the full height stands for; the greatest value when absent.
        width: Most characters.
    """
    step = -(-len(values) // width) or 1
    shown = [_mean(values[at : at + step]) for at in range(0, len(values), step)]
    height = top or max((value for value in shown if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _bar(value / height) for value in shown)


def _bar(share: float) -> str:
    return _BARS[min(max(int(share * len(_BARS)), 0), len(_BARS) - 1)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
