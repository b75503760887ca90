"""Which processes a subject is made of now."""

from __future__ import annotations

from runner.core.facts import Subject
from runner.observe.processes import descendants, start_ticks


def processes(subject: Subject) -> list[int]:
    """The processes a subject is made of now; a container's are found below its first one."""
    if subject.pid is None or (subject.started and start_ticks(subject.pid) != subject.started):
        return []
    return [subject.pid] if subject.kind == "process" else descendants(subject.pid)


def living(subject: Subject) -> list[int]:
    """The processes of a subject, at least one.

    Raises:
        ProcessLookupError: It has ended.
    """
    found = processes(subject)
    if not found:
        raise ProcessLookupError(3, "no such process")
    return found
