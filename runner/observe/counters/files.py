"""Open files of one subject against the limit of its processes."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import Final

from runner.core.observed_facts import Subject
from runner.observe.counters.level import Levels, gauge
from runner.observe.counters.members import living
from runner.observe.proc_files import read_file
from runner.observe.roots import proc

_MAX_LINE: Final = 100


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
    folder = f"{proc()}/{pid}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116,PTH208  (every second)


def _file_limit(pid: int) -> int | None:
    _, found, line = read_file(f"{proc()}/{pid}/limits").partition(b"\nMax open files")
    if not found:
        raise ProcessLookupError(3, "no such process")
    soft = line[:_MAX_LINE].split()[0]
    return None if soft == b"unlimited" else int(soft)
