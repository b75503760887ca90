"""Which ports are free, and who listens on the others."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

LOOPBACK: Final = "127.0.0.1"

_LOWEST: Final = 10_000
_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket; `pid` is None when its owner is not readable."""

    address: str
    port: int
    pid: int | None

    @property
    def owner(self) -> str:
        """Such as ``nginx (pid 12)``."""
        if self.pid is None:
            return "a process of another user"
        try:
            return f"{psutil.Process(self.pid).name()} (pid {self.pid})"
        except psutil.Error:
            return f"pid {self.pid}"

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def free_port() -> int:
    """A port nobody listens on now, outside the range outgoing connections are given.

    A port inside that range could be taken by one of the load's own connections between
    this look and the app's bind.
    """
    highest = _first_ephemeral_port() - 1
    for _ in range(_TRIES if highest > _LOWEST else 0):
        port = random.randint(_LOWEST, highest)  # noqa: S311  (no secret)
        if is_free(port):
            return port
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1; connections in TIME_WAIT do not count."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except PermissionError:  # a privileged port: the app may be allowed what we are not
        return True
    except OSError:
        return False


def listeners(pids: Iterable[int]) -> list[Listener]:
    """What these processes listen on; what cannot be read is left out."""
    found: list[Listener] = []
    for pid in pids:
        with suppress(psutil.Error, OSError):
            found += _listening(pid, psutil.Process(pid).net_connections("tcp"))
    return found


def holders(port: int) -> list[Listener]:
    """Who listens on this port, at whatever address."""
    with suppress(psutil.Error, OSError):
        everyone = psutil.net_connections("tcp")
        return [
            listener
            for connection in everyone
            for listener in _listening(connection.pid, [connection])
            if listener.port == port
        ]
    return []


def _listening(pid: int | None, connections: Iterable[Any]) -> list[Listener]:
    return [
        Listener(connection.laddr.ip, connection.laddr.port, pid)
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    ]


def _first_ephemeral_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return 0
