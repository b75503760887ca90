"""What each role uses at the moment, from the readings of the last second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

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

        ``other`` is what the machine used beyond all roles; several machines have no such number.
        """
        total: dict[RoleName, Cores] = {}
        for subjects, samples in self.samples.items():
            first, last = samples[0], samples[-1]
            elapsed_s = last.t_s - first.t_s
            if elapsed_s <= 0:
                continue
            for subject in subjects:
                name = subject.name
                if name in last.cpu_s and name in first.cpu_s:
                    used = (last.cpu_s[name] - first.cpu_s[name]) / elapsed_s
                    total[subject.role] = total.get(subject.role, 0.0) + used
        if len(self.samples) == 1 and (system := total.get(Role.SYSTEM)) is not None:
            known = sum(used for role, used in total.items() if role != Role.SYSTEM)
            total[Role.OTHER] = max(0.0, system - known)
        return total

    def memory_bytes(self) -> dict[RoleName, Bytes]:
        """Return the resident memory of each role at the last reading."""
        total: dict[RoleName, Bytes] = {}
        for subjects, samples in self.samples.items():
            last = samples[-1].rss_bytes
            for subject in subjects:
                if subject.name in last:
                    total[subject.role] = total.get(subject.role, 0) + last[subject.name]
        return total
