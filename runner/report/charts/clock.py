"""The time of day below the seconds of a chart, by which a reader finds the lines of a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UNSET

from runner.core.stage_results import Stage
from runner.report.charts.chart import Spec
from runner.report.exact_numbers import exact

_MOST: Final = 50
"""Stages that a label is looked up among; a chart of more has only tooltips with the time of day."""


@dataclass(frozen=True, slots=True)
class ClockSpan:
    """Seconds of an axis that belong to one stage, and when its window began; None where not known."""

    begins: float
    origin: float
    ends: float
    window_at: datetime | None


def window_began(stage: Stage) -> datetime | None:
    """Return when a stage's window began; None where that is not known."""
    if stage.window_at is UNSET:
        return None
    try:
        began = datetime.fromisoformat(stage.window_at)
    except ValueError:
        return None
    return began.replace(tzinfo=UTC) if began.tzinfo is None else began.astimezone(UTC)


def time_of_day(began: datetime | None, t_s: float) -> str | None:
    """Return the time of day of a second of a window, as ``04:51:40``; None where it is not known."""
    return f"{began + timedelta(seconds=t_s):%H:%M:%S}" if began else None


def clock_axis(spans: Sequence[ClockSpan]) -> Spec:
    """Return what an axis of seconds needs for the time of day below each label; empty where not known."""
    if not any(span.window_at for span in spans) or len(spans) > _MOST:
        return {}
    seconds, text = "format(datum.value, ',')", "''"
    for span in reversed(spans):
        if span.window_at is None:
            continue
        began_ms = round(span.window_at.timestamp() * 1000)
        moment = f"utcFormat({began_ms} + (datum.value - {exact(span.origin)}) * 1000, '%H:%M:%S')"
        within = f"datum.value >= {exact(span.begins)} && datum.value <= {exact(span.ends)}"
        text = f"{within} ? {moment} : ({text})"
    return {"labelExpr": f"[{seconds}, {text}]", "labelSeparation": 8}
