"""A row of numbers as a row of eight bar heights, for places where a chart does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.stage_results import Stage

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHORT: Final = 12


def sparkline(values: Sequence[float | None], *, top: float | None = None, width: int = 30) -> str:
    """Return one character for each value, from 0 to `top`; longer rows are averaged to `width` characters.

    Values are not negative; None is drawn as a blank. By default, the greatest value has the full height.
    """
    step = -(-len(values) // width) or 1
    shown = [_mean(values[at : at + step]) for at in range(0, len(values), step)]
    height = top or max((value for value in shown if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _bar(value / height) for value in shown)


def rate_sparkline(stage: Stage) -> str:
    """Return successful responses per second in the measured window; the full height is the target rate."""
    rates = [moment.rps for moment in stage.timeseries if moment.t_s > 0]
    return sparkline(rates, top=top_rps(stage), width=_SHORT)


def top_rps(stage: Stage) -> float | None:
    """Return the highest rate that a stage offered, which has the full height; None without a rate."""
    return stage.ramp.highest if stage.ramp else stage.target_rps


def _bar(share: float) -> str:
    return _BARS[min(int(min(max(share, 0.0), 1.0) * len(_BARS)), len(_BARS) - 1)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
