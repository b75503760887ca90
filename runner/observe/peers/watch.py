"""Watches the connections of the system under test to the programs that serve it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import trio

from runner.core.codes import RoleName
from runner.core.facts import Window
from runner.core.observed_facts import Peer, Subject
from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.observe.clock import sleep_until
from runner.observe.peers.reading import Connections

_EVERY_S: Final[Seconds] = 0.2
_LEAST_OFTEN_S: Final[Seconds] = 1.0
_READINGS: Final = 300
"""In one window, as far as that is more often than once a second."""
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2
_MAX_COST: Final = 0.008
"""Share of a core that all readings together may use; the interval grows until it is kept."""


@dataclass(slots=True)
class Peers:
    """The connections of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        watched: Port of a service that ran already to its name.
    """

    subjects: Sequence[Subject]
    window: Window
    watched: Mapping[int, RoleName] = field(default_factory=dict)
    _connections: Connections | None = None
    _failed: bool = False

    async def watch(self) -> None:
        """Read until the window ends; never raises for sockets that cannot be read."""
        await sleep_until(self.window.measure_ns)
        self._connections = connections = Connections(self.subjects, self.watched)
        with ExitStack() as closing:
            await trio.to_thread.run_sync(connections.open, closing)
            next_ns = self.window.measure_ns
            for number in count():
                if next_ns > self.window.end_ns or self._failed:
                    return
                await sleep_until(next_ns)
                cost_s = await trio.to_thread.run_sync(self._read, connections)
                next_ns = max(next_ns, time.monotonic_ns()) + self._pause_ns(cost_s, number)

    def found(self) -> tuple[Peer, ...]:
        """Return what the system under test had connections to."""
        return self._connections.series.peers() if self._connections else ()

    def notes(self) -> tuple[str, ...]:
        """Return what is missing, as sentences without a full stop."""
        return ("the connections of the app to other programs could not be read",) if self._failed else ()

    def _read(self, connections: Connections) -> Seconds:
        """Read once; return the CPU time that this took, without what finding out who is there takes once."""
        begin_s = time.thread_time()
        try:
            connections.read(round((time.monotonic_ns() - self.window.measure_ns) / NS_PER_S, 6))
        except Exception:  # noqa: BLE001  (nothing that is read may end a run)
            self._failed = True
        return time.thread_time() - begin_s - connections.identifying_s

    def _pause_ns(self, cost_s: Seconds, number: int) -> Nanoseconds:
        """Return a pause that varies by a third, so that no period of the app agrees with the readings."""
        length_s = (self.window.end_ns - self.window.measure_ns) / NS_PER_S
        often_s = min(_LEAST_OFTEN_S, max(_EVERY_S, length_s / _READINGS))
        varied = 2 / 3 + 2 / 3 * (number * _GOLDEN_RATIO % 1)
        return ns(max(often_s, cost_s / _MAX_COST) * varied)
