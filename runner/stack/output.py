"""Keeps the last output of a process in bounded memory, however much it prints.

A file would fill the disk, and waking the event loop for every line would disturb the
measurement: instead, a thread empties a large pipe with a pause after each read.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from runner.core.masking import margin, mask_bytes, without_escapes
from runner.core.units import Bytes

_PIPE_BYTES: Final = 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_PAUSE_S: Final = 0.02
_LINE_CHARACTERS: Final = 500


class OutputTail:
    """Keeps the last bytes that are written to `write_fd`.

    Attributes:
        write_fd: Pass it to a child as stdout and stderr, then call `close_write_end`.
    """

    def __init__(self, keep: Bytes = 64 * 1024, *, secrets: Mapping[str, str] | None = None) -> None:
        self._keep = keep
        self._secrets = secrets or {}
        self._margin = margin(self._secrets)
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._closed = False
        self._lock = threading.Lock()
        self._stop = os.eventfd(0)
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        with suppress(OSError):  # this user's pipes may have reached their total limit
            fcntl.fcntl(self._read_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._drain, name="output-tail", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self, count: int = 20) -> tuple[str, ...]:
        """Return the last lines written so far, up to `count`, without escape sequences and secrets."""
        with self._lock:
            self._read_available()
            output = b"".join(self._chunks)
        masked = mask_bytes(output, self._secrets, keep=self._keep).decode(errors="replace")
        lines = map(printable, without_escapes(masked).splitlines())
        return tuple(line for line in lines if line)[-count:]

    def close_write_end(self) -> None:
        """Close this process's end for writing; the child keeps its own."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def close(self) -> None:
        """Stop reading; processes that still write get SIGPIPE. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.close_write_end()
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._read_fd)
        os.close(self._stop)

    def _drain(self) -> None:
        input_or_stop = select.poll()
        input_or_stop.register(self._read_fd, select.POLLIN)
        input_or_stop.register(self._stop, select.POLLIN)
        stopped = select.poll()
        stopped.register(self._stop, select.POLLIN)
        while True:
            ready = {fd for fd, _ in input_or_stop.poll()}
            if self._stop in ready:
                return
            with self._lock:
                ended = self._read_available()
            if ended or stopped.poll(_PAUSE_S * 1000):
                return

    def _read_available(self) -> bool:
        """Read what the pipe holds now, up to its capacity; return True at its end."""
        for _ in range(_PIPE_BYTES // _CHUNK_BYTES):
            try:
                chunk = os.read(self._read_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return False
            if not chunk:
                return True
            self._append(chunk)
        return False

    def _append(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._kept += len(chunk)
        while self._kept - len(self._chunks[0]) >= self._keep + self._margin:
            self._kept -= len(self._chunks.popleft())


def printable(line: str) -> str:
    """Return a line without control characters and tabs, cut to a bounded length."""
    expanded = line.replace("\t", "    ")
    plain = "".join(character if character.isprintable() else " " for character in expanded)
    return plain.rstrip()[:_LINE_CHARACTERS]
