"""`LIVE` in a run's folder: what the runner appends while it runs, and whether that runner still exists.

The file serves only those who watch. Nothing waits until it is on disk, and a fault of it never disturbs the
run.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.core.live import MAX_LINE, LiveRecord, RunBegins, RunEnds, Second, decode_live, encode_live
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.observe.processes import has_ended, start_ticks
from runner.stack.host_identity import boot_id, pid_namespace
from runner.store.run_names import LIVE, RESULTS

FULL_BYTES: Final[Bytes] = 32 * BYTES_PER_MIB
"""From this size on, only every tenth second is written: after about a day of one stage."""
SILENCE_S: Final[Seconds] = 60.0
"""A run of another machine or container is in progress if its file changed this recently."""
_EVERY: Final = 10
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class LiveFile:
    """A sink that appends records to a run's file, and removes it when the run has results.

    Attributes:
        folder: Of the run.
    """

    folder: Path
    _descriptor: int | None = field(default=None, init=False)
    _size: Bytes = field(default=0, init=False)
    _seconds: int = field(default=0, init=False)

    def __call__(self, record: LiveRecord) -> None:
        """Append a record, as one write.

        Raises:
            OSError: It cannot be written.
        """
        if isinstance(record, RunBegins):
            self._begin(record)
        elif self._descriptor is not None and self._has_room(record):
            self._append(record)
        if isinstance(record, RunEnds):
            self.close()
            if (self.folder / RESULTS).exists():
                (self.folder / LIVE).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what comes later is not written."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _begin(self, record: RunBegins) -> None:
        """Put a new file in the place of an interrupted run's; it has its first record from the start."""
        self.close()
        new = self.folder / f".{LIVE}-{os.getpid()}"
        self._descriptor = os.open(new, _FLAGS, 0o644)
        try:
            self._append(record)
            new.replace(self.folder / LIVE)
        except OSError:
            self.close()
            new.unlink(missing_ok=True)
            raise

    def _append(self, record: LiveRecord) -> None:
        assert self._descriptor is not None
        self._size += os.write(self._descriptor, encode_live(record))

    def _has_room(self, record: LiveRecord) -> bool:
        if self._size < FULL_BYTES or not isinstance(record, Second):
            return True
        self._seconds += 1
        return self._seconds % _EVERY == 0


def own_process() -> tuple[int, int, str, int]:
    """Return pid, start time, boot and pid namespace of this process, as in `RunBegins`."""
    return os.getpid(), start_ticks(os.getpid()) or 0, boot_id(), int(pid_namespace())


def read_beginning(folder: Path) -> RunBegins | None:
    """Return the first record in a run's folder; None if there is none, or it is damaged."""
    line, end, _ = _part(folder).partition(b"\n")
    record = _record(line) if end else None
    return record if isinstance(record, RunBegins) else None


def read_end(folder: Path) -> RunEnds | None:
    """Return the last record in a run's folder if the run came to its end; else None."""
    lines = _part(folder, from_end=True).split(b"\n")
    record = _record(lines[-2]) if len(lines) > 1 and not lines[-1] else None
    return record if isinstance(record, RunEnds) else None


def _part(folder: Path, *, from_end: bool = False) -> bytes:
    """Return the file's first bytes or its last ones, as many as a record may have; empty without any."""
    try:
        descriptor = os.open(folder / LIVE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        at = max(os.fstat(descriptor).st_size - MAX_LINE - 1, 0) if from_end else 0
        return os.pread(descriptor, MAX_LINE + 1, at)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _record(line: bytes) -> LiveRecord | None:
    with suppress(ValueError):
        return decode_live(line)
    return None


def is_in_progress(beginning: RunBegins, folder: Path) -> bool:
    """Return whether the runner that wrote this beginning still exists.

    Args:
        beginning: The first record of the folder.
        folder: Of the run.
    """
    here = (boot_id(), int(pid_namespace()))
    if (beginning.boot_id, beginning.pid_namespace) == here:
        return start_ticks(beginning.pid) == beginning.process_started and not has_ended(beginning.pid)
    try:
        changed_at = (folder / LIVE).stat(follow_symlinks=False).st_mtime
    except OSError:
        return False
    return time.time() - changed_at < SILENCE_S
