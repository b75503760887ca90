"""Cores and MiB by subject and by role, from cumulative counters.

An average is always the difference of two counters divided by the time between them, never the mean of
samples, so no peak between two samples is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from runner.core.facts import ObservedFacts, Role, Sample, Subject
from runner.core.results import Usage
from runner.core.units import BYTES_PER_MIB, Cores, Seconds

_SLACK_S: Final = 1e-3


def cpu_by_role(observed: ObservedFacts, window_s: Seconds, peak_s: Seconds) -> dict[Role, Usage | None]:
    """Return the cores that every observed role used in the measured window, and `other`.

    A role that could not be read is None. `other` is what the host used beyond all roles; it is absent if
    the host could not be read.
    """
    used: dict[Role, Usage | None] = {}
    for role in dict.fromkeys(subject.role for subject in observed.subjects):
        used[role] = _cpu(observed.samples, _names(observed.subjects, role), window_s, peak_s)
    system = used.get(Role.SYSTEM)
    if system is not None:
        known = [usage for role, usage in used.items() if role is not Role.SYSTEM and usage is not None]
        used[Role.OTHER] = Usage(max(0.0, system.avg - sum(usage.avg for usage in known)), None)
    return used


def cpu_of(observed: ObservedFacts, name: str, window_s: Seconds, peak_s: Seconds) -> Usage | None:
    """Return the cores that one subject used in the measured window."""
    return _cpu(observed.samples, [name], window_s, peak_s)


def memory_by_role(observed: ObservedFacts, window_s: Seconds) -> dict[Role, Usage | None]:
    """Return the MiB that every role used in the measured window, averaged over its samples."""
    roles = dict.fromkeys(subject.role for subject in observed.subjects if subject.kind != "system")
    return {role: _memory(observed, _names(observed.subjects, role), window_s) for role in roles}


def cores_between(
    samples: Sequence[Sample], names: Sequence[str], begin: Seconds, end: Seconds
) -> Cores | None:
    """Return the average cores of some subjects between the samples closest to two times."""
    readable = [sample for sample in samples if all(name in sample.cpu_s for name in names)]
    if not names or len(readable) < 2:
        return None
    first = min(readable, key=lambda sample: abs(sample.t_s - begin))
    last = min(readable, key=lambda sample: abs(sample.t_s - end))
    return _rate(first, last, names)


def _names(subjects: Iterable[Subject], role: Role) -> list[str]:
    return [subject.name for subject in subjects if subject.role is role]


def _cpu(samples: Sequence[Sample], names: Sequence[str], window_s: Seconds, peak_s: Seconds) -> Usage | None:
    inside = [
        sample
        for sample in samples
        if sample.t_s >= -_SLACK_S and all(name in sample.cpu_s for name in names)
    ]
    if not names or len(inside) < 2:
        return None
    avg = _rate(inside[0], inside[-1], names)
    if avg is None:
        return None
    return Usage(avg, _peak(inside, names, min(peak_s, window_s)))


def _rate(first: Sample, last: Sample, names: Iterable[str]) -> Cores | None:
    elapsed = last.t_s - first.t_s
    if elapsed < _SLACK_S:
        return None
    used = sum(last.cpu_s[name] - first.cpu_s[name] for name in names)
    return max(0.0, used / elapsed)


def _peak(samples: Sequence[Sample], names: Sequence[str], width_s: Seconds) -> Cores | None:
    """Return the highest average over any `width_s` that starts and ends at a sample."""
    highest: Cores | None = None
    first = 0
    for last in range(1, len(samples)):
        while first + 1 < last and samples[last].t_s - samples[first + 1].t_s >= width_s - _SLACK_S * 10:
            first += 1
        if samples[last].t_s - samples[first].t_s < width_s - _SLACK_S * 10:
            continue
        rate = _rate(samples[first], samples[last], names)
        highest = rate if highest is None or (rate is not None and rate > highest) else highest
    return highest


def _memory(observed: ObservedFacts, names: Sequence[str], window_s: Seconds) -> Usage | None:
    inside = _sums(observed.samples, names, lambda sample: -_SLACK_S <= sample.t_s <= window_s + 1)
    if not inside:
        return None
    return Usage(sum(inside) / len(inside), max(inside))


def _sums(samples: Iterable[Sample], names: Sequence[str], wanted: Callable[[Sample], bool]) -> list[float]:
    return [
        sum(sample.rss_bytes[name] for name in names) / BYTES_PER_MIB
        for sample in samples
        if wanted(sample) and all(name in sample.rss_bytes for name in names)
    ]
