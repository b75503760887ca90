"""Reads files that come from outside: a path may name a device, a pipe without a writer, or endless data."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runner.core.units import BYTES_PER_MIB, Bytes, Seconds

MAX_SPEC: Final[Bytes] = 8 * BYTES_PER_MIB
MAX_RUN_FILE: Final[Bytes] = 8 * BYTES_PER_MIB
MAX_JOURNAL: Final[Bytes] = 512 * BYTES_PER_MIB
PIPE_TIMEOUT_S: Final[Seconds] = 60.0
"""How long a pipe, or any file, may take to deliver everything."""
SILENCE_S: Final[Seconds] = 10.0
"""How long a file that is no pipe may deliver nothing: some of the kernel's own, such as /proc/kmsg, wait."""

_NOTICE_AFTER_S: Final[Seconds] = 2.0
_PAUSE_S: Final[Seconds] = 0.05
_CHUNK: Final[Bytes] = BYTES_PER_MIB
_NO_FILES: Final = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
    stat.S_IFSOCK: "it is a socket",
}
"""Kinds that are refused before they are opened: opening a device can have effects."""


class NotReadable(Exception):  # noqa: N818  (reads as the sentence it is)
    """A file that cannot be read.

    Attributes:
        reason: A phrase without the file's name, such as ``it is a folder``.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.reason = reason


class NotFound(NotReadable):
    """There is no such file."""


class TooLarge(NotReadable):
    """The file has more bytes than are accepted."""

    def __init__(self, path: Path, limit: Bytes, what: str) -> None:
        reason = f"it is larger than {limit / BYTES_PER_MIB:g} MiB, the maximum for {what}"
        super().__init__(path, reason)


def read_bounded(
    path: Path,
    limit: Bytes,
    what: str,
    *,
    may_be_pipe: bool = False,
    on_wait: Callable[[str], object] | None = None,
) -> bytes:
    """Return the content of a regular file, or of a pipe where one is useful.

    Args:
        path: Of the file.
        limit: How many bytes it may have.
        what: What it should contain, with an article, for messages: ``a specification``.
        may_be_pipe: Accept a pipe and wait for its writer.
        on_wait: Receives one sentence if a pipe has delivered nothing for 2 s.

    Raises:
        NotFound: There is no such file.
        TooLarge: It has more than `limit` bytes; not more than those were read.
        NotReadable: It is no file, may not be read, or delivered nothing for 10 s, or a pipe did not end
            within 60 s.
    """
    fd = _open(path, what, may_be_pipe=may_be_pipe)
    try:
        if os.fstat(fd).st_size > limit:
            raise TooLarge(path, limit, what)
        content = _read(fd, limit, _Patience(path, what, on_wait))
    except OSError as error:
        raise NotReadable(path, _reason(error)) from None
    finally:
        os.close(fd)
    if len(content) > limit:
        raise TooLarge(path, limit, what)
    return content


def _open(path: Path, what: str, *, may_be_pipe: bool) -> int:
    """Return the descriptor of a file that may be read; opening a pipe does not wait for its writer."""
    try:
        if reason := _no_file(stat.S_IFMT(path.stat().st_mode), may_be_pipe=may_be_pipe):
            raise NotReadable(path, f"{reason}, not {what}")
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise NotFound(path, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise NotReadable(path, _reason(error)) from None


def _no_file(kind: int, *, may_be_pipe: bool) -> str | None:
    """Return why a kind of file is refused, None if it is not."""
    return "it is a pipe" if kind == stat.S_IFIFO and not may_be_pipe else _NO_FILES.get(kind)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _read(fd: int, limit: Bytes, patience: _Patience) -> bytes:
    """Return what the file contains, at most one byte more than the limit."""
    is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    content = bytearray()
    while len(content) <= limit:
        patience.wait(fd, is_pipe=is_pipe)
        try:
            chunk = os.read(fd, min(_CHUNK, limit + 1 - len(content)))
        except BlockingIOError:  # `poll` says that it is ready although it is not
            time.sleep(_PAUSE_S)
            continue
        if not chunk:
            break
        content += chunk
    return bytes(content)


class _Patience:
    """Waits until there is something to read, tells the user about a pipe, and gives up after a time."""

    def __init__(self, path: Path, what: str, on_wait: Callable[[str], object] | None) -> None:
        self._path = path
        self._what = what
        self._on_wait = on_wait
        self._began_s = time.monotonic()

    def wait(self, fd: int, *, is_pipe: bool) -> None:
        """Wait until the file has data, or the writer of the pipe has closed it.

        Raises:
            NotReadable: It took too long.
        """
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if is_pipe and self._on_wait:
            if poll.poll(self._left_ms(_NOTICE_AFTER_S)):
                return
            self._on_wait(f"waiting for {self._what} from the pipe {self._path}")
            self._on_wait = None
        left_ms = self._left_ms(PIPE_TIMEOUT_S)
        if left_ms and poll.poll(left_ms if is_pipe else min(left_ms, SILENCE_S * 1000)):
            return
        if is_pipe:
            waited = f"it is a pipe, and its writer did not finish within {PIPE_TIMEOUT_S:.0f} s"
        elif left_ms:
            waited = f"it delivered nothing for {SILENCE_S:.0f} s"
        else:
            waited = f"reading it did not end within {PIPE_TIMEOUT_S:.0f} s"
        raise NotReadable(self._path, waited)

    def _left_ms(self, at_most_s: Seconds) -> float:
        return max(0.0, self._began_s + at_most_s - time.monotonic()) * 1000
