"""stdout and stderr that take all output: what cannot be written costs the output, and ends nothing.

A disk becomes full, a reader closes its pipe or stops reading, a terminal hangs up: none of this may end a
run, or change its exit code.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_AT_ONCE: Final = 4096
"""A pipe that is ready takes this many bytes without blocking (PIPE_BUF on Linux)."""
_PATIENCE_MS: Final = 100


class ProtectedStream(io.RawIOBase):
    """Writes to a file descriptor, and drops what cannot be written.

    Attributes:
        failure: Why output was dropped first; None where nothing was.
        waits: Whether a reader that takes its time is waited for.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self.waits = True
        self._descriptor = descriptor
        self._is_stuck = False
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write or drop everything; never raises an `OSError`."""
        content = memoryview(data).cast("B")
        try:
            self._write_all(content)
        except OSError as error:
            self.failure = self.failure or error
        return len(content)

    def _write_all(self, content: memoryview) -> None:
        while content:
            self._wait()
            try:
                written = os.write(self._descriptor, content[:_AT_ONCE])
            except BlockingIOError:  # another writer filled the pipe first
                continue
            content = content[written:]

    def _wait(self) -> None:
        """Wait until there is room; once a reader is too slow, look only whether it reads again.

        Raises:
            OSError: There is no room, and `waits` is false.
        """
        patience = 0 if self._is_stuck else _PATIENCE_MS
        self._is_stuck = not self._poll.poll(None if self.waits else patience)
        if self._is_stuck:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def protect_streams() -> None:
    """Replace stdout and stderr of this process by protected ones."""
    sys.stdout = _protected(sys.stdout, 1)
    sys.stderr = _protected(sys.stderr, 2)


def _protected(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a text stream of the same encoding, which can encode everything."""
    return io.TextIOWrapper(
        ProtectedStream(descriptor),  # type: ignore[type-var]  # as Python's own with PYTHONUNBUFFERED
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let output on stderr not wait for its reader meanwhile: a wait would disturb a measurement."""
    stream = _raw(sys.stderr)
    if stream is None:
        yield
        return
    stream.waits = False
    try:
        yield
    finally:
        stream.waits = True


def take_failure() -> OSError | None:
    """Return why output on stdout was lost, once; None where all was written, or its reader had enough."""
    stream = _raw(sys.stdout)
    if stream is None:
        return None
    failure, stream.failure = stream.failure, None
    return None if isinstance(failure, BrokenPipeError) else failure


def _raw(stream: TextIO) -> ProtectedStream | None:
    raw = getattr(stream, "buffer", None)
    return raw if isinstance(raw, ProtectedStream) else None
