"""Accept queues of a namespace that may not be entered, as far as ``/proc/PID/net/tcp`` shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from runner.core.units import Seconds
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.roots import proc

_LISTEN: Final = b"0A"
_NAME_SERVER: Final = b"0B00007F"
"""127.0.0.11, where Docker answers questions for names in every container."""
_MAX_LISTENERS: Final = 1_000
_MAX_COST: Final = 0.001
"""Share of a core that the readings of one namespace may use."""
_ADDRESS, _STATE, _QUEUES = 1, 3, 4


@dataclass(slots=True)
class Queues:
    """Waiting connections by port; neither their limit nor dropped ones are known.

    The kernel searches its table of all sockets for each reading, which takes milliseconds.

    Attributes:
        scope: The namespace's.
        pid: A process in it.
        ports: Those to read; empty for all.
    """

    scope: str
    pid: int
    ports: tuple[int, ...] = ()
    family: str = "tcp.accept_queue"
    _next_s: Seconds = 0.0

    @property
    def every_second(self) -> bool:
        """Whether it may be read again without using too much CPU."""
        return time.monotonic() >= self._next_s

    def read(self) -> Levels:
        """See `Source`; of several sockets on one port the fullest counts."""
        begin_s = time.thread_time()
        levels = self._levels()
        self._next_s = time.monotonic() + (time.thread_time() - begin_s) / _MAX_COST
        return levels

    def _levels(self) -> Levels:
        fullest: dict[int, int] = {}
        for name in ("tcp", "tcp6"):
            for port, waiting in _listening(Path(f"{proc()}/{self.pid}/net/{name}")):
                if not self.ports or port in self.ports:
                    fullest[port] = max(waiting, fullest.get(port, 0))
            if self.ports and fullest.keys() == set(self.ports):
                break
        return {
            f"tcp.accept_queue.{port}": gauge(waiting, "connections") for port, waiting in fullest.items()
        }


def _listening(table: Path) -> Iterator[tuple[int, int]]:
    """Yield port and waiting connections of listeners, which the kernel lists before all other sockets."""
    with table.open("rb") as lines:
        next(lines, None)
        for line in islice(lines, _MAX_LISTENERS):
            words = line.split()
            if words[_STATE] != _LISTEN:
                return
            address, _, port = words[_ADDRESS].partition(b":")
            if address != _NAME_SERVER:
                yield int(port, 16), int(words[_QUEUES].partition(b":")[2], 16)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Counters that nobody may read without privileges on this machine."""

    scope: str
    family: str
    every_second: bool = False

    def read(self) -> dict[str, Level | None]:
        """Raise PermissionError, so that the counters are listed as not readable."""
        raise PermissionError(1, "not permitted")
