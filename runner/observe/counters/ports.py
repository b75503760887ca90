"""Ephemeral ports in use against their range, counted as the kernel runs out of them.

A port may serve one connection to every destination at once, so what counts is the destination that has
most. Sockets that were accepted, and those the other end keeps in TIME_WAIT, take none.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.units import Seconds
from runner.observe.counters.level import Levels, gauge
from runner.observe.counters.namespace import inside
from runner.observe.counters.sock_diag import (
    DPORT_AT_LEAST,
    DPORT_AT_MOST,
    SPORT_AT_LEAST,
    SPORT_AT_MOST,
    conditions,
    open_in,
    tcp_sockets,
)

_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CONNECTED: Final = sum(1 << state for state in (1, 2, 4, 5, 6, 7, 8, 9, 11))
"""All TCP states but LISTEN and those of a connection that is being accepted."""
_QUICK_S: Final = 0.002
_KEY: Final = slice(22, 56)
"""Destination's port, source's and destination's address in a message (linux/inet_diag.h)."""


@dataclass(slots=True)
class Ports:
    """Ports that connections from one namespace take, to the destination that takes most.

    Attributes:
        scope: The namespace's.
        pid: A process in it.
        to: A destination's port that may itself be in the range.
    """

    scope: str
    pid: int
    to: int = 0
    family: str = "ports"
    _took_s: Seconds = 0.0
    _socket: socket.socket | None = None
    _bounds: tuple[int, int] = (0, 0)

    @property
    def always(self) -> bool:
        """Every second while it is quick; ten thousand sockets take 10 ms, and change slowly."""
        return self._took_s < _QUICK_S

    def read(self) -> Levels:
        """See `Source`."""
        begun = time.perf_counter()
        if self._socket is None:
            least, most = map(int, inside(self.pid, _RANGE.read_text).split())
            self._bounds = least, most
            self._socket = open_in(self.pid)
        least, most = self._bounds
        taken: Counter[bytes] = Counter()
        for data, at, _ in tcp_sockets(self._socket, _CONNECTED, only=outgoing(least, most, self.to)):
            taken[data[at + _KEY.start : at + _KEY.stop]] += 1
        self._took_s = time.perf_counter() - begun
        return {"ports.in_use": gauge(max(taken.values(), default=0), "ports", limit=most - least + 1)}

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()


def outgoing(least: int, most: int, to: int) -> bytes:
    """Sockets whose own port is ephemeral and whose peer's is not, or is `to`."""
    return conditions(
        (SPORT_AT_LEAST, least, None),
        (SPORT_AT_MOST, most, None),
        (DPORT_AT_LEAST, least, 6),
        (DPORT_AT_MOST, most, 6),
        (DPORT_AT_LEAST, to, None),
        (DPORT_AT_MOST, to, None),
    )
