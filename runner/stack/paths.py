"""Paths of a specification: names that need not be UTF-8, and files that need not be files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from runner.core.units import BYTES_PER_MIB, Bytes

_MAX_BYTES: Final[Bytes] = 8 * BYTES_PER_MIB


def printable(path: Path) -> str:
    r"""Return a path as text that can be printed and stored, with bytes that are not UTF-8 as in ``\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file of up to 8 MiB, without waiting.

    Raises:
        OSError: It is no such file, or cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        content = file.read(_MAX_BYTES + 1)
    if content is None:
        raise OSError(errno.EAGAIN, "reading it does not end", str(path))
    if len(content) > _MAX_BYTES:
        raise OSError(errno.EFBIG, "it is larger than 8 MiB", str(path))
    return content
