"""Ephemeral ports in use against their range.

One port can carry a connection to each destination at the same time, so the destination with most connections
counts. Accepted sockets, and those in TIME_WAIT at the other end, occupy no port.
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
"""All TCP states except LISTEN and those of a connection that is being accepted."""
_QUICK_S: Final = 0.002
_KEY: Final = slice(22, 56)
"""The destination's port, and the addresses of source and destination, in a message (linux/inet_diag.h)."""


@dataclass(slots=True)
class Ports:
    """Ports that connections from one namespace occupy, to the destination with most connections.

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
    def every_second(self) -> bool:
        """Whether a reading is quick: ten thousand sockets take 10 ms, and change slowly."""
        return self._took_s < _QUICK_S

    def read(self) -> Levels:
        """See `Source`."""
        started = time.perf_counter()
        if self._socket is None:
            low, high = map(int, inside(self.pid, _RANGE.read_text).split())
            self._bounds = low, high
            self._socket = open_in(self.pid)
        low, high = self._bounds
        in_use: Counter[bytes] = Counter()
        for data, at, _ in tcp_sockets(self._socket, _CONNECTED, program=_outgoing(low, high, self.to)):
            in_use[data[at + _KEY.start : at + _KEY.stop]] += 1
        self._took_s = time.perf_counter() - started
        return {"ports.in_use": gauge(max(in_use.values(), default=0), "ports", limit=high - low + 1)}

    def close(self) -> None:
        """Close the netlink socket."""
        if self._socket is not None:
            self._socket.close()


def _outgoing(low: int, high: int, to: int) -> bytes:
    """Select sockets whose own port is ephemeral and whose peer's is not, or is `to`."""
    return conditions(
        (SPORT_AT_LEAST, low, None),
        (SPORT_AT_MOST, high, None),
        (DPORT_AT_LEAST, low, 6),
        (DPORT_AT_MOST, high, 6),
        (DPORT_AT_LEAST, to, None),
        (DPORT_AT_MOST, to, None),
    )
