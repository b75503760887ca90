"""What each role uses at the moment, from the readings of the last second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from runner.analyze.merged_observation import has_parts
from runner.core.codes import Role, RoleName
from runner.core.observed_facts import Sample, Subject
from runner.core.units import Bytes, Cores, Seconds

_AVERAGED_S: Final[Seconds] = 1.0


@dataclass(slots=True)
class RoleUsage:
    """CPU and memory of each role, as the sum over all machines.

    Attributes:
        samples: The readings of about the last second, by the subjects of a machine.
    """

    samples: dict[tuple[Subject, ...], deque[Sample]] = field(default_factory=dict)

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        """Add a reading of a machine."""
        samples = self.samples.setdefault(subjects, deque())
        samples.append(sample)
        while len(samples) > 2 and sample.t_s - samples[1].t_s >= _AVERAGED_S:
            samples.popleft()

    def cores(self) -> dict[RoleName, Cores]:
        """Return the cores that each role used, as averages; a role without two readings is absent.

        ``other`` is what a machine used beyond all roles. Of several machines, that which runs no part of the
        experiment but the runner counts with the runner alone.
        """
        total: dict[RoleName, Cores] = {}
        counted = self._counted()
        for subjects, samples in self.samples.items():
            used = _cores(subjects, samples[0], samples[-1])
            system = used.pop(Role.SYSTEM, None)
            if system is not None and subjects in counted:
                used |= {Role.OTHER: max(0.0, system - sum(used.values())), Role.SYSTEM: system}
            for role, cores in used.items():
                total[role] = total.get(role, 0.0) + cores
        return total

    @property
    def machines(self) -> int:
        """How many machines are counted as a whole, at least 1."""
        return max(1, len(self._counted()))

    def _counted(self) -> list[tuple[Subject, ...]]:
        """Return the subjects of the machines that count as a whole."""
        return [subjects for subjects in self.samples if len(self.samples) == 1 or has_parts(subjects)]

    def memory_bytes(self) -> dict[RoleName, Bytes]:
        """Return the resident memory of each role at the last reading."""
        total: dict[RoleName, Bytes] = {}
        for subjects, samples in self.samples.items():
            last = samples[-1].rss_bytes
            for subject in subjects:
                if subject.name in last:
                    total[subject.role] = total.get(subject.role, 0) + last[subject.name]
        return total


def _cores(subjects: tuple[Subject, ...], first: Sample, last: Sample) -> dict[RoleName, Cores]:
    """Return the cores that each role of a machine used between two readings."""
    total: dict[RoleName, Cores] = {}
    elapsed_s = last.t_s - first.t_s
    if elapsed_s <= 0:
        return total
    for subject in subjects:
        name = subject.name
        if name in last.cpu_s and name in first.cpu_s:
            used = (last.cpu_s[name] - first.cpu_s[name]) / elapsed_s
            total[subject.role] = total.get(subject.role, 0.0) + used
    return total
