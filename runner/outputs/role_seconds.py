"""What each role used in each second, from cumulative counters that were read several times a second."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.codes import Role, RoleName
from runner.core.observed_facts import ObservedFacts, Sample
from runner.core.units import Bytes, Cores, Seconds

_CLOSE_S: Final = 0.3
"""Two readings at most this far from the ends of a second tell what was used in it."""
_MOST_S: Final = 1_000_000
"""Seconds from a window's start that a reading may be; no run is longer."""


@dataclass(frozen=True, slots=True)
class RoleSecond:
    """One second of one role on one machine.

    Attributes:
        node: Name of the machine; empty for the runner's own.
        role: Whose resources these are.
        index: 0 is the measured window's first second.
        cores: CPU seconds used ÷ seconds; None where that could not be read.
        rss_bytes: Resident memory at the end of the second; None likewise.
    """

    node: str
    role: RoleName
    index: int
    cores: Cores | None
    rss_bytes: Bytes | None


def role_seconds(observed: ObservedFacts, node: str = "") -> Iterator[RoleSecond]:
    """Yield the seconds of each role that could be read, in order of roles and time, and those of ``other``.

    The cores of ``other`` are what the machine used beyond all roles, as far as all of these are known.
    """
    names: dict[RoleName, list[str]] = {}
    for subject in observed.subjects:
        names.setdefault(subject.role, []).append(subject.name)
    samples = sorted((one for one in observed.samples if abs(one.t_s) < _MOST_S), key=lambda one: one.t_s)
    cores: dict[int, dict[RoleName, Cores]] = {}
    for role, subjects in names.items():
        for second in _of_role(samples, node, role, subjects):
            yield second
            if second.cores is not None:
                cores.setdefault(second.index, {})[role] = second.cores
    for index in sorted(cores):
        used = cores[index]
        if len(used) == len(names) and (system := used.pop(Role.SYSTEM, None)) is not None:
            yield RoleSecond(node, Role.OTHER, index, max(0.0, system - sum(used.values())), None)


def _of_role(
    samples: Sequence[Sample], node: str, role: RoleName, names: Sequence[str]
) -> Iterator[RoleSecond]:
    readable = [sample for sample in samples if all(name in sample.cpu_s for name in names)]
    times = [sample.t_s for sample in readable]
    if len(readable) < 2:
        return
    for index in sorted({round(t_s) for t_s in times}):
        first, last = _closest(times, index), _closest(times, index + 1)
        if first is None or last is None or first == last:
            continue
        cores = _cores(readable[first], readable[last], names)
        memory = None if role == Role.SYSTEM else _memory(readable[last], names)
        yield RoleSecond(node, role, index, cores, memory)


def _closest(times: Sequence[Seconds], t_s: Seconds) -> int | None:
    """Return which of some ascending times is closest to one; None where that is not close."""
    after = bisect_left(times, t_s)
    near = [at for at in (after - 1, after) if 0 <= at < len(times)]
    best = min(near, key=lambda at: abs(times[at] - t_s))
    return best if abs(times[best] - t_s) <= _CLOSE_S else None


def _cores(first: Sample, last: Sample, names: Sequence[str]) -> Cores | None:
    cores = 0.0
    for name in names:
        elapsed = last.read_s.get(name, last.t_s) - first.read_s.get(name, first.t_s)
        if elapsed <= 0:
            return None
        cores += (last.cpu_s[name] - first.cpu_s[name]) / elapsed
    return max(0.0, cores)


def _memory(sample: Sample, names: Sequence[str]) -> Bytes | None:
    if not all(name in sample.rss_bytes for name in names):
        return None
    return sum(sample.rss_bytes[name] for name in names)
