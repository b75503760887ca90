"""Keeps files of the runner in memory on a node, where workers read them by a path.

    python -P -m runner.load.file_keeper

Each file arrives as lines of JSON: first a `FileOrder`, then its content in `FilePart`s. The keeper prints
`FileKept` when it has the whole of it. The end of its standard input ends it, and its files are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Annotated, BinaryIO, Final

import msgspec
from msgspec import Meta, Struct

from runner.core.units import BYTES_PER_MIB, Bytes

PART: Final[Bytes] = BYTES_PER_MIB
"""A file arrives in parts of this length, the last one excepted."""
LARGEST: Final[Bytes] = 1024 * BYTES_PER_MIB


class FileOrder(Struct, frozen=True):
    """A file to come.

    Attributes:
        size: Its length.
    """

    size: Annotated[Bytes, Meta(ge=0, le=LARGEST)]


class FilePart(Struct, frozen=True):
    """The next part of its content, in base64."""

    content: bytes


class FileKept(Struct, frozen=True):
    """It is complete.

    Attributes:
        path: Where processes of the same user read it.
    """

    path: Annotated[str, Meta(max_length=200)]


def main() -> None:
    """Keep files until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = sys.stdin.buffer
    while line := commands.readline():
        kept = _keep(msgspec.json.decode(line, type=FileOrder).size, commands)
        sys.stdout.buffer.write(msgspec.json.encode(kept) + b"\n")
        sys.stdout.buffer.flush()


def _keep(size: Bytes, commands: BinaryIO) -> FileKept:
    fd = os.memfd_create("loadproof")
    missing = size
    with open(fd, "wb", closefd=False) as file:
        while missing > 0:
            part = msgspec.json.decode(commands.readline(), type=FilePart).content
            missing -= file.write(part)
    if missing:
        raise SystemExit("generator: a file arrived that is larger than it was said to be")
    return FileKept(f"/proc/{os.getpid()}/fd/{fd}")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the runner has exited
        main()
