"""Memory of the system that grows steadily until a stage ends: a leak, or a cache that is not full yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import StatisticsError, correlation, linear_regression
from typing import Final

from runner.analyze.resource_usage import memory_over_time
from runner.core.codes import Role
from runner.core.observed_facts import ObservedFacts
from runner.core.units import PerSecond, Seconds

_NOT_OF_THE_SYSTEM: Final = frozenset({Role.GENERATOR, Role.RUNNER, Role.DAEMON, Role.SYSTEM, Role.OTHER})
_MIN_SAMPLES: Final = 6
_MIN_LENGTH_S: Final[Seconds] = 5.0
_MIN_GROWTH_MIB: Final = 8.0
_MIN_GROWTH: Final = 0.1
"""Of what was used at first."""
_STEADY: Final = 0.97
"""Correlation with time from which growth is a straight line, and not a step."""
_STILL_GROWS: Final = 0.5
"""Slope of the second half by that of the first from which there is no sign of an end."""
_KIB_PER_MIB: Final = 1024


def growth_notes(observed: ObservedFacts, window_s: Seconds, responses: PerSecond | None) -> Iterator[str]:
    """Yield a sentence for every role of the system whose memory grew steadily until the end of the window.

    Args:
        observed: Of the whole stage, on all machines.
        window_s: Length of the measured window.
        responses: Successful responses per second, None if unknown.
    """
    for role, series in memory_over_time(observed, window_s).items():
        if role in _NOT_OF_THE_SYSTEM or not _grows(series):
            continue
        slope = _slope(series)
        each = f", {slope * _KIB_PER_MIB / responses:,.3g} KiB per response" if responses else ""
        yield (
            f"the memory of {role} grew steadily from {series[0][1]:,.0f} to {series[-1][1]:,.0f} MiB "
            f"({slope:,.2g} MiB/s{each}) and was still growing when the window ended: it may be a leak, or a "
            "cache that was not full yet"
        )


def _grows(series: Sequence[tuple[Seconds, float]]) -> bool:
    """Return whether memory grew much, in a straight line, and to the end."""
    if len(series) < _MIN_SAMPLES or series[-1][0] - series[0][0] < _MIN_LENGTH_S:
        return False
    growth, middle = series[-1][1] - series[0][1], len(series) // 2
    if growth < max(_MIN_GROWTH_MIB, _MIN_GROWTH * series[0][1]):
        return False
    try:
        steady = correlation(*zip(*series, strict=True)) >= _STEADY
    except StatisticsError:  # all at one time
        return False
    return steady and _slope(series[middle:]) >= _STILL_GROWS * _slope(series[: middle + 1])


def _slope(series: Sequence[tuple[Seconds, float]]) -> float:
    """Return MiB per second, by least squares."""
    return linear_regression(*zip(*series, strict=True)).slope
