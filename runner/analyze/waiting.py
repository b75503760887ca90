"""What tells an overloaded service from users who pause: only those who wait for a response are a backlog.

A user who pauses for 20 s is under way for 20 s, however fast the service is. Until the first users have
ended, more and more are under way, and more and more wait for a response at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Final, NamedTuple

from runner.core import histogram
from runner.core.load_facts import UNFINISHED, Backlog, LoadFacts, LoadSecond
from runner.core.units import NS_PER_S, Seconds

_TOLERATED: Final = 0.01
"""Share of the runs due that may get no response at all before that counts as turning users away."""
_RESPONDED: Final = frozenset(
    {
        "bad_status", "bad_header", "bad_body", "extract_failed", "bad_redirect", "too_many_steps",
        "protocol", UNFINISHED,
    }
)  # fmt: skip
"""Failures after which the service is not behind: it responded, or the stage ended before the user did."""


class Waiting(NamedTuple):
    """How users of a scenario wait for responses.

    Attributes:
        pauses_s: How long a user pauses in all, on average, or a little more.
        early_s: How long a user waited for responses in all, in the first half of the window.
        of_steps: For each step, its mean response time from second to second of the window, as sums.
    """

    pauses_s: Seconds
    early_s: Seconds
    of_steps: tuple[Backlog, ...]


def waiting(load: LoadFacts, scenario: str, window_s: Seconds) -> Waiting:
    """Return how users of a scenario wait.

    Args:
        load: Of the whole stage.
        scenario: A name of one of its scenarios.
        window_s: Length of the measured window.
    """
    steps = [_requests(load, step) for step in load.scenarios[scenario].steps]
    runs = [second.scenarios[scenario] for second in load.seconds if scenario in second.scenarios]
    ended = sum(run.succeeded + sum(run.failures.values()) for run in runs)
    duration_s = (histogram.merge(run.response_time for run in runs).mean_ms or 0.0) / 1000
    waited_s = sum(_total_s(step) for step in steps) / ended if ended else 0.0
    early_s = sum(_early_s(step, window_s) for step in steps) / max(1, load.scenarios[scenario].planned)
    of_steps = tuple(_by_second(step, window_s) for step in steps)
    return Waiting(max(0.0, duration_s - waited_s), early_s, of_steps)


def finished_runs(load: LoadFacts) -> int | None:
    """Return how many runs could end in a stage; None if users were turned away, or if none could.

    One that the end of the stage cut off says nothing about the service where nothing grows. Users who got no
    response, or were never started, were turned away.

    Args:
        load: Runs of a scenario.
    """
    unfinished = sum(second.failures.get(UNFINISHED, 0) for second in load.seconds)
    turned_away = sum(
        second.dropped + sum(count for kind, count in second.failures.items() if kind not in _RESPONDED)
        for second in load.seconds
    )
    finished = load.planned - unfinished
    return finished if finished > 0 and turned_away < _TOLERATED * load.planned else None


def _requests(load: LoadFacts, step: str) -> list[LoadSecond]:
    return [second.parts[step] for second in load.seconds if step in second.parts]


def _total_s(seconds: Iterable[LoadSecond]) -> Seconds:
    return sum(second.duration.total_ns for second in seconds) / NS_PER_S


def _early_s(step: Sequence[LoadSecond], window_s: Seconds) -> Seconds:
    """Return how long all requests of a step would take together at the mean of the window's first half."""
    early = histogram.merge(second.duration for second in step if 0 <= second.index < window_s / 2)
    return (early.mean_ms or 0.0) / 1000 * sum(second.scheduled for second in step)


def _by_second(step: Sequence[LoadSecond], window_s: Seconds) -> Backlog:
    """Return the mean response time of each second of the window as if each were one request."""
    points = [
        (second.index + 0.5, second.response_time.mean_ms / 1000)
        for second in step
        if 0 <= second.index < window_s and second.response_time.mean_ms is not None
    ]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    sums = (
        len(points), sum(xs), sum(ys), sum(x * x for x in xs), sum(x * y for x, y in points),
        sum(y * y for y in ys),
    )  # fmt: skip
    beginning_s = max(window_s * _BEGINNING, fmean(ys) * _RESOLVED) if ys else 0.0
    return Backlog(beginning_s, 0.0, histogram.EMPTY, sums)


_BEGINNING: Final = 0.005
"""Share of the window by which response times must grow at least; as in `runner.analyze.achieved`."""
_RESOLVED: Final = 0.1
"""Share of the mean response time by which they must grow at least."""
