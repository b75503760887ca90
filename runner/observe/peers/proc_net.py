"""TCP sockets of a namespace from ``/proc/PID/net/tcp``, where sock_diag is missing or not permitted.

The kernel does not tell there when data was last sent or received.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from runner.observe.peers.socket import Connection, Place, address_of
from runner.observe.peers.tcp import MAX_CONNECTIONS, Listener

_ESTABLISHED, _LISTEN = "01", "0A"
_FILES: Final = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))


def listeners(pid: int) -> Iterator[Listener]:
    """Yield every listening TCP socket of the namespace of a process.

    Raises:
        OSError: There is no such process.
    """
    for family, words in _lines(pid, _LISTEN):
        yield Listener(_place(family, words[1]), int(words[9]))


def connections(pid: int, listening: Collection[int]) -> Iterator[Connection]:
    """Yield the established connections of a namespace; as `runner.observe.peers.tcp.connections`.

    Raises:
        OSError: There is no such process.
    """
    for family, words in _lines(pid, _ESTABLISHED):
        if _place(family, words[1]).port not in listening:
            queued = int(words[4].partition(":")[0], 16)
            yield Connection(int(words[9]), _place(family, words[2]), queued)


def _lines(pid: int, state: str) -> Iterator[tuple[int, list[str]]]:
    for name, family in _FILES:
        with Path(f"/proc/{pid}/net/{name}").open(encoding="ascii", errors="replace") as lines:
            for line in islice(lines, 1, MAX_CONNECTIONS):
                words = line.split()
                if len(words) > 9 and words[3] == state:
                    yield family, words


def _place(family: int, text: str) -> Place:
    """Return a place from hexadecimal words in the byte order of this host, and a port."""
    address, _, port = text.partition(":")
    words = (bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
    return Place(address_of(family, b"".join(words)), int(port, 16))
