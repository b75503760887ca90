"""Reads small files of the kernel, which is done hundreds of times a second, at a third of pathlib's cost."""

from __future__ import annotations

import os
from typing import Final

from runner.core.units import Bytes
from runner.observe.roots import proc

_CHUNK: Final[Bytes] = 64 * 1024
_MAX_NUMBER: Final[Bytes] = 64


def read_file(path: str) -> bytes:
    """Return the content of a file below /proc or of a control group.

    Raises:
        OSError: There is no such file, or its process has ended.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = chunk = os.read(fd, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(fd, _CHUNK)
            content += chunk
    finally:
        os.close(fd)
    return content


def number_of(key: bytes, content: bytes) -> int | None:
    """Return the number of a key in lines of keys and numbers, without parsing the others; None if missing.

    Raises:
        ValueError: It is followed by no number.
    """
    _, found, rest = (b"\n" + content).partition(b"\n" + key + b" ")
    return int(rest[:_MAX_NUMBER].partition(b"\n")[0]) if found else None


def threads(pid: int) -> list[str]:
    """Return the ids of a process's threads.

    Raises:
        OSError: There is no such process.
    """
    return os.listdir(f"{proc()}/{pid}/task")  # noqa: PTH208  (only names)
