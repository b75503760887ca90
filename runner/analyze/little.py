"""Little's law: requests in flight as they were counted, beside what rate and response time account for.

L = λW (Little, "A Proof for the Queuing Formula: L = λW", 1961). It holds for everything that was in flight:
a request that timed out was, for the whole time-out.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Final

from runner.core.measured import Requests
from runner.core.stage_results import Stage

AGREES: Final = (0.5, 2.0)
"""Requests in flight, counted once a second, divided by what Little's law predicts; our own bound."""
_TIMED_OUT: Final = ("timeout", "connect_timeout")
_NEVER_SENT: Final = frozenset({"no_fd", "no_port", "dropped"})
"""Failures that were not in flight."""


@dataclass(frozen=True, slots=True)
class Little:
    """Requests in flight, as counted and as Little's law predicts them from rate and response time.

    Attributes:
        in_flight: Mean over the seconds of the window.
        expected: Responses per second × mean response time, plus time-outs per second × their duration.
        ratio: `in_flight` ÷ `expected`.
        expected_at_most: With all other failed requests, of which the duration is not known, as long in
            flight as a request can be.
    """

    in_flight: float
    expected: float
    ratio: float
    expected_at_most: float

    @property
    def agrees(self) -> bool:
        """Return whether the count is one that the responses and failures account for."""
        lowest, highest = AGREES
        return lowest * self.expected <= self.in_flight <= highest * self.expected_at_most


def little(stage: Stage) -> Little | None:
    """Return a stage's requests in flight; None without enough seconds, or if none ended."""
    window = [second for second in stage.timeseries if second.t_s > 0]
    if len(window) < 2:
        return None
    timed_out = sum(stage.requests.failures.get(kind, 0) for kind in _TIMED_OUT)
    in_flight_s = (stage.actual_rps or 0.0) * _mean_s(stage) + timed_out * stage.timeout_s / len(window)
    if not in_flight_s:
        return None
    unknown = _failed_in_flight(stage.requests) - timed_out
    counted = fmean(second.in_flight for second in window)
    at_most = in_flight_s + unknown * stage.timeout_s / len(window)
    return Little(
        *(round(counted, 3), round(in_flight_s, 3), round(counted / in_flight_s, 4), round(at_most, 3))
    )


def _mean_s(stage: Stage) -> float:
    """Return how long a successful request was in flight on average.

    A request that waits for a free slot is not in flight yet. Users have no response time: they send when
    the response to their last request is there.
    """
    if stage.users is not None:
        return (stage.duration_ms.mean or 0.0) / 1000
    waited_ms = stage.dispatch_delay_ms.mean or 0.0
    return max(0.0, (stage.response_time_ms.mean or 0.0) - waited_ms) / 1000


def _failed_in_flight(requests: Requests) -> int:
    return sum(count for kind, count in requests.failures.items() if kind not in _NEVER_SENT)
