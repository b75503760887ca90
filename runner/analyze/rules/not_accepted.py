"""Requests that wait in an accept queue: all workers or threads of what should accept them are in use."""

from __future__ import annotations

from typing import Final, NamedTuple

from runner.analyze.kernel_counters import counters_with_prefix, is_of_service
from runner.analyze.rules.peers import Connections
from runner.core.findings import Evidence
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage

_LEAST: Final = 2.0
_MOSTLY: Final = 0.5
"""Share of what waits that waits to be accepted, from which that is what to look at; our own bound."""


class NotAccepted(NamedTuple):
    """Connections that waited to be accepted.

    Attributes:
        waiting: Average number.
        by: What should accept them, in words.
    """

    waiting: float
    by: str

    @property
    def phrase(self) -> str:
        """Return the fact as the end of a sentence."""
        waited = f"{self.waiting:,.0f} connections waited for {self.by} to accept them"
        return f"; {waited}, as when all its workers are busy"

    @property
    def evidence(self) -> Evidence:
        """The number."""
        return Evidence("connections that waited to be accepted", self.waiting, "connections")

    @property
    def advice(self) -> str:
        """Return what to do first."""
        return f"give {self.by} more workers or threads, or shorten what keeps them busy; or "


def not_accepted(stage: Stage, peer: Connections | None, in_flight: float) -> NotAccepted | None:
    """Return the connections in an accept queue if they are most of what waits; None otherwise.

    Args:
        stage: With the accept queues that were observed.
        peer: The service for which requests wait; None for the app.
        in_flight: Requests in flight on average.
    """
    service = peer.service if peer else None
    queues = counters_with_prefix(stage, "tcp.accept_queue.")
    count = sum(queue.after for queue in queues if _listener(stage, queue) == service)
    if count < max(_LEAST, _MOSTLY * (peer.waiting if peer else in_flight)):
        return None
    return NotAccepted(count, service or "the service")


def _listener(stage: Stage, queue: CounterReading) -> str | None:
    """Return the service that an accept queue is of; None of the app or the proxy."""
    if not is_of_service(stage, queue):
        return None
    return str(stage.cpu_cores_by_subject[queue.scope.removeprefix("net:")].role)
