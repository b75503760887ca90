"""Open files of one subject against the limit of its processes."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from runner.core.observed_facts import Subject
from runner.observe.counters.level import Levels, gauge
from runner.observe.counters.members import living
from runner.observe.roots import proc


def read_files(subject: Subject) -> Levels:
    """Return the open files of the subject's process that is closest to its limit."""
    usage = []
    for pid in living(subject):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            usage.append((_open_files(pid), _file_limit(pid)))
    if not usage:
        raise ProcessLookupError(3, "no such process")
    used, limit = max(usage, key=lambda pair: pair[0] / (pair[1] or math.inf))
    return {"fds.open": gauge(used, "files", limit=limit)}


def _open_files(pid: int) -> int:
    """Count open files: the folder's size since Linux 6.2; it is 0 in older kernels."""
    folder = Path(f"{proc()}/{pid}/fd")
    return folder.stat().st_size or sum(1 for _ in folder.iterdir())


def _file_limit(pid: int) -> int | None:
    text = Path(f"{proc()}/{pid}/limits").read_text()
    soft = next(line.split()[3] for line in text.splitlines() if line.startswith("Max open files"))
    return None if soft == "unlimited" else int(soft)
