"""Which processes are part of the experiment: the system under test, the generator, the runner and theirs.

A process is looked at once, when it has used CPU, so a host with many idle processes costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from runner.core.observed_facts import Subject
from runner.observe.cgroups import ControlGroup, group_pids, has_member
from runner.observe.processes import parent_of, session_of
from runner.observe.readers import own_group
from runner.observe.roots import are_foreign, own_pid
from runner.observe.trees import supervisor_of

_MAX_ANCESTORS: Final = 64


@dataclass(slots=True)
class Experiment:
    """The processes of an experiment, known by descent, by session, or by control group.

    Attributes:
        alone: Processes that are subjects without what they started, such as the Docker daemon.
        roots: Processes that are part of it with all that descends from them.
        sessions: Sessions whose processes are all part of it.
        groups: Control groups likewise.
        runner: The process whose other descendants are no strangers either.
    """

    alone: frozenset[int]
    roots: frozenset[int]
    sessions: frozenset[int]
    groups: tuple[ControlGroup, ...]
    runner: int = field(default_factory=own_pid)
    _members: set[int] | None = field(default=None, init=False)

    def look_again(self) -> None:
        """Forget the members of control groups, which are listed again when they are needed."""
        self._members = None

    def includes(self, pid: int) -> bool:
        """Return whether a process is part of the experiment."""
        if pid in self.alone or not self.roots.isdisjoint(ancestors(pid)):
            return True
        return session_of(pid) in self.sessions or self._is_in_group(pid)

    def is_started_by_runner(self, pid: int) -> bool:
        """Return whether a process descends from the runner, as a watchdog or what a hook started does."""
        return self.runner in ancestors(pid)

    def _is_in_group(self, pid: int) -> bool:
        """Return whether a process is in one of the groups; their members cannot be listed from an agent."""
        if are_foreign():
            return any(has_member(group, pid) for group in self.groups)
        if self._members is None:
            self._members = {pid for group in self.groups for pid in group_pids(group)}
        return pid in self._members


def experiment_of(subjects: Sequence[Subject]) -> Experiment:
    """Return the processes of an experiment, from what is observed in it."""
    known = [(subject, subject.pid) for subject in subjects if subject.pid is not None]
    whole = [pid for subject, pid in known if subject.kind != "process"]
    supervisors = [supervisor for pid in whole if (supervisor := supervisor_of(pid)) is not None]
    groups = [own_group(subject) for subject, _ in known]
    return Experiment(
        alone=frozenset({own_pid(), *supervisors, *(pid for _, pid in known)}),
        roots=frozenset({*whole, *supervisors}),
        sessions=frozenset(pid for pid in whole if session_of(pid) == pid),
        groups=tuple(group for group in groups if group is not None),
    )


def ancestors(pid: int) -> Iterator[int]:
    """Yield a process, its parent, the parent of that, and so on."""
    current: int | None = pid
    for _ in range(_MAX_ANCESTORS):
        if not current:
            return
        yield current
        current = parent_of(current)
