"""The current processes of a subject."""

from __future__ import annotations

from runner.core.observed_facts import Subject
from runner.observe.processes import start_ticks
from runner.observe.trees import tree_members


def processes(subject: Subject) -> list[int]:
    """Return the current processes of a subject; a container's are the descendants of its first one."""
    if subject.pid is None or (subject.started and start_ticks(subject.pid) != subject.started):
        return []
    return [subject.pid] if subject.kind == "process" else tree_members(subject.pid)


def living(subject: Subject) -> list[int]:
    """Return the processes of a subject, at least one.

    Raises:
        ProcessLookupError: It has ended.
    """
    pids = processes(subject)
    if not pids:
        raise ProcessLookupError(3, "no such process")
    return pids
