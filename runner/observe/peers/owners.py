"""Which processes hold a socket: first those of the system under test, then any on this host."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from runner.core.observed_facts import Subject
from runner.observe.cgroups import ControlGroup, group_pids
from runner.observe.counters.listeners import socket_inodes
from runner.observe.counters.members import processes
from runner.observe.peers.waiting import Inode
from runner.observe.readers import own_group

_MAX_PROCESSES: Final = 32_768
_MAX_SEARCHES: Final = 5
"""Of all processes in one trial: a search of a thousand processes takes 50 ms."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that holds a socket, and its subject; None outside the system under test."""

    pid: int
    subject: Subject | None


@dataclass(slots=True)
class Owners:
    """The sockets of the system under test.

    Args:
        subjects: Its parts.
    """

    subjects: Sequence[Subject]
    _searches: int = field(default=0, init=False)
    _groups: dict[str, ControlGroup | None] = field(default_factory=dict)

    def of_subjects(self) -> dict[Inode, Owner]:
        """Return all sockets that the subjects hold now."""
        return {
            inode: Owner(pid, subject)
            for subject in self.subjects
            for pid in self._processes(subject)
            for inode in _inodes(pid)
        }

    def anywhere(self, inode: Inode) -> Owner | None:
        """Return the process that holds a socket, wherever it is; None after too many searches."""
        if inode in (known := self.of_subjects()):
            return known[inode]
        if self._searches >= _MAX_SEARCHES:
            return None
        self._searches += 1
        return next((Owner(pid, None) for pid in all_processes() if inode in _inodes(pid)), None)

    def _processes(self, subject: Subject) -> Collection[int]:
        """Return the processes of a subject; a control group lists them in one file, a tree in many."""
        if subject.name not in self._groups:
            self._groups[subject.name] = own_group(subject)
        group = self._groups[subject.name]
        return processes(subject) if group is None else group_pids(group)


def all_processes() -> Iterator[int]:
    """Yield the processes of this host."""
    with os.scandir("/proc") as entries:
        yield from islice((int(entry.name) for entry in entries if entry.name.isdecimal()), _MAX_PROCESSES)


def _inodes(pid: int) -> frozenset[Inode]:
    try:
        return frozenset(socket_inodes(pid))
    except OSError:
        return frozenset()
