"""The kernel's tables of listening TCP sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_LISTEN: Final = "0A"


class Listener(NamedTuple):
    """A socket that listens.

    Attributes:
        host: Its address as the table has it: 32-bit words in the machine's byte order,
            as hexadecimal digits.
        port: Its port.
        user: The id of the user who opened it.
        inode: The kernel's number of the socket, as `/proc/PID/fd` shows it.
    """

    host: str
    port: int
    user: int
    inode: int


def listeners(process: Path) -> Iterator[Listener]:
    """Yield the listening sockets of a network namespace.

    Args:
        process: The folder of a process in it, such as ``/proc/self``.
    """
    for name in ("tcp", "tcp6"):
        try:
            lines = (process / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            with suppress(ValueError, IndexError):
                if fields[3] == _LISTEN:
                    host, port = fields[1].split(":")
                    yield Listener(host, int(port, 16), int(fields[7]), int(fields[9]))
