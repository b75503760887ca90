"""Finds free ports, and the processes that listen on the others."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from runner.experiment.app import PORT_FIELD

if TYPE_CHECKING:
    from psutil._ntuples import pconn, sconn

LOOPBACK: Final = "127.0.0.1"

_MIN_PORT: Final = 10_000
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


def fill_port(text: str, port: int) -> str:
    """Return a word of a command, or the value of a variable, with ``{port}`` replaced."""
    return text.replace(PORT_FIELD, str(port))


def free_port() -> int:
    """Return a port that nothing listens on, outside the ephemeral range.

    The load's own connections could take an ephemeral port before the app binds it.
    """
    max_port = _first_ephemeral_port() - 1
    for _ in range(_TRIES if max_port > _MIN_PORT else 0):
        port = random.randint(_MIN_PORT, max_port)  # noqa: S311  (no secret)
        if is_free(port):
            return port
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether nothing listens on this port of 127.0.0.1; connections in TIME_WAIT do not count."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except PermissionError:  # a privileged port, which the app may be allowed to use
        return True
    except OSError:
        return False


def listeners(pids: Iterable[int]) -> list[Listener]:
    """Return the listening sockets of these processes, as far as they are readable."""
    sockets: list[Listener] = []
    for pid in pids:
        with suppress(psutil.Error, OSError):
            sockets += _listening(pid, psutil.Process(pid).net_connections("tcp"))
    return sockets


def holders(port: int) -> list[Listener]:
    """Return the listening sockets on this port, at any address."""
    return [listener for listener in all_listeners() if listener.port == port]


def all_listeners() -> list[Listener]:
    """Return the listening sockets of this machine; of a socket that several processes hold, one owner."""
    with suppress(psutil.Error, OSError):
        return [
            listener
            for connection in psutil.net_connections("tcp")
            for listener in _listening(connection.pid, [connection])
        ]
    return []


def by_holder(port: int) -> str:
    """Return text such as `` by nginx (pid 12)`` for a message, empty when no holder is visible."""
    return "".join(f" by {holder.owner}" for holder in holders(port)[:1])


def _listening(pid: int | None, connections: Iterable[pconn | sconn]) -> list[Listener]:
    return [
        Listener(connection.laddr.ip, connection.laddr.port, pid)
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    ]


def _first_ephemeral_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return 0
