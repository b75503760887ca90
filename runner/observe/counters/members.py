"""The current processes of a subject."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

from runner.core.observed_facts import Subject
from runner.core.units import NS_PER_MS, Nanoseconds
from runner.observe.processes import start_ticks
from runner.observe.roots import proc
from runner.observe.trees import tree_members

_SHARED_NS: Final[Nanoseconds] = 20 * NS_PER_MS
"""Several sources of a subject are read one after another: they share one look at its processes."""


def processes(subject: Subject) -> list[int]:
    """Return the current processes of a subject; a container's are the descendants of its first one."""
    if subject.pid is None or (subject.started and start_ticks(subject.pid) != subject.started):
        return []
    if subject.kind == "process":
        return [subject.pid]
    return list(_members(proc(), subject.pid, time.monotonic_ns() // _SHARED_NS))


@lru_cache(maxsize=64)
def _members(_: str, pid: int, __: int) -> tuple[int, ...]:
    return tuple(tree_members(pid))


def living(subject: Subject) -> list[int]:
    """Return the processes of a subject, at least one.

    Raises:
        ProcessLookupError: It has ended.
    """
    pids = processes(subject)
    if not pids:
        raise ProcessLookupError(3, "no such process")
    return pids
