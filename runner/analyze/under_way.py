"""How many runs of a scenario are under way because users pause, and not because the service is slow.

A user who takes 20 s for a scenario is under way for 20 s, however fast the service is: the number of users
under way rises for 20 s after the first one started. Only what exceeds that is a backlog.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Final

from runner.core import histogram
from runner.core.load_facts import UNFINISHED, LoadFacts
from runner.core.ramp import Ramp
from runner.core.units import Seconds

_PERCENTILES: Final = tuple(range(1, 100, 2))
"""Fifty durations that are equally frequent."""
_TOLERATED: Final = 0.01
"""Share of the runs due that may get no response at all before that counts as turning users away."""
_RESPONDED: Final = frozenset(
    {"bad_status", "bad_header", "bad_body", "extract_failed", "bad_redirect", "protocol", UNFINISHED}
)
"""Failures after which the service is not behind: it responded, or the stage ended before the user did."""


def explained_by_durations(
    known: Sequence[tuple[int, float]],
    load: LoadFacts,
    shorter: float,
    lengths: tuple[Seconds, Seconds],
    ramp: Ramp | None,
) -> list[tuple[int, float]]:
    """Return the numbers of runs under way without those that the durations of runs explain.

    With A(t) for the runs due until t, those of duration d that are under way are A(t) − A(t − d). Durations
    are those of completed runs.

    Args:
        known: Second of the window, and the number at its end.
        load: Runs of a scenario.
        shorter: Factor of the durations: that of the first half of the window to that of all of it, if they
            grew.
        lengths: Of the warm-up and of the window.
        ramp: How the rate changed over the window.
    """
    merged = histogram.merge(second.response_time for second in load.seconds)
    durations_s = [shorter * ms / 1000 for ms in merged.percentiles_ms(_PERCENTILES)]
    due = _due_until(load.planned, lengths, ramp)

    def explained(t_s: Seconds) -> float:
        under_way = (due(t_s) - due(t_s - duration_s) for duration_s in durations_s)
        return fmean(under_way) if durations_s else 0.0

    return [(index, max(0.0, level - explained(index + 1.0))) for index, level in known]


def finished_runs(load: LoadFacts) -> float | None:
    """Return how many runs could end in a stage; None if users were turned away, or if none could.

    One that the end of the stage cut off says nothing about the service where nothing grows. Users who got no
    response, or were never started, were turned away.
    """
    unfinished = sum(second.failures.get(UNFINISHED, 0) for second in load.seconds)
    turned_away = sum(
        second.dropped + sum(count for kind, count in second.failures.items() if kind not in _RESPONDED)
        for second in load.seconds
    )
    finished = load.planned - unfinished
    return finished if finished > 0 and turned_away < _TOLERATED * load.planned else None


def _due_until(
    planned: int, lengths: tuple[Seconds, Seconds], ramp: Ramp | None
) -> Callable[[Seconds], float]:
    """Return a function from a time after the window's start to the runs due since then, negative before."""
    warmup_s, window_s = lengths
    first_rate = planned / window_s * (ramp.begin / ramp.mean if ramp and ramp.mean else 1.0)

    def due(t_s: Seconds) -> float:
        if t_s <= 0:
            return first_rate * max(t_s, -warmup_s)
        share = min(1.0, t_s / window_s)
        return planned * (ramp.due_before(share) if ramp else share)

    return due
