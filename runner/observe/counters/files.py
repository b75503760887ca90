"""Open files of one subject against the limit of its processes."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.facts import Subject
from runner.observe.counters.level import Levels, gauge
from runner.observe.counters.members import living


@dataclass(frozen=True, slots=True)
class Files:
    """Open files of the process that is closest to its limit."""

    subject: Subject
    family: str = "fds"
    always: bool = True

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        found = []
        for pid in living(self.subject):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended just now
                found.append((_open_files(pid), _most_files(pid)))
        if not found:
            raise ProcessLookupError(3, "no such process")
        used, most = max(found, key=lambda pair: pair[0] / (pair[1] or math.inf))
        return {"fds.open": gauge(used, "files", limit=most)}


def _open_files(pid: int) -> int:
    """The folder's size is their number since Linux 6.2; before, it is 0 and they have to be counted."""
    folder = Path(f"/proc/{pid}/fd")
    return folder.stat().st_size or sum(1 for _ in folder.iterdir())


def _most_files(pid: int) -> int | None:
    text = Path(f"/proc/{pid}/limits").read_text()
    soft = next(line.split()[3] for line in text.splitlines() if line.startswith("Max open files"))
    return None if soft == "unlimited" else int(soft)
