"""Cores and MiB by subject and by role, and what CPU quotas cost, from cumulative counters.

An average is always the difference of two counters divided by the time between their readings, never the mean
of samples, so no peak between two samples is lost. A late closing sample includes time without load, so the
last one in time is used instead; `observer_lateness` says how late the samples were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from runner.core.codes import Role, RoleName
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.observed_results import ThrottlingShare, Usage
from runner.core.units import BYTES_PER_MIB, Cores, Seconds

_LATE_S: Final = 0.1
"""By how much a sample may be late and still show the second for whose end it was planned."""
_SLACK_S: Final = 1e-3

LATE_S: Final[Seconds] = 0.25
"""How late a sample may be: a busy machine delays a process by that much."""


def cpu_by_role(observed: ObservedFacts, window_s: Seconds, peak_s: Seconds) -> dict[RoleName, Usage | None]:
    """Return the cores that every observed role used in the measured window, and `other`.

    A role that could not be read is None. `other` is what the host used beyond all roles; it is absent if
    the host could not be read.
    """
    used: dict[RoleName, Usage | None] = {}
    for role in dict.fromkeys(subject.role for subject in observed.subjects):
        used[role] = _cpu(observed.samples, _names(observed.subjects, role), window_s, peak_s)
    system = used.get(Role.SYSTEM)
    if system is not None:
        known = [usage for role, usage in used.items() if role != Role.SYSTEM and usage is not None]
        used[Role.OTHER] = Usage(max(0.0, system.avg - sum(usage.avg for usage in known)), None)
    return used


def cpu_of(observed: ObservedFacts, name: str, window_s: Seconds, peak_s: Seconds) -> Usage | None:
    """Return the cores that one subject used in the measured window."""
    return _cpu(observed.samples, [name], window_s, peak_s)


def memory_by_role(observed: ObservedFacts, window_s: Seconds) -> dict[RoleName, Usage | None]:
    """Return the MiB that every role used in the measured window, averaged over its samples."""
    roles = dict.fromkeys(subject.role for subject in observed.subjects if subject.kind != "system")
    return {role: _memory(observed, _names(observed.subjects, role), window_s) for role in roles}


def memory_over_time(
    observed: ObservedFacts, window_s: Seconds
) -> dict[RoleName, list[tuple[Seconds, float]]]:
    """Return for every role when in the measured window it used how many MiB, in order of time."""
    roles = dict.fromkeys(subject.role for subject in observed.subjects if subject.kind != "system")
    return {role: _memory_over_time(observed, _names(observed.subjects, role), window_s) for role in roles}


def memory_by_second(observed: ObservedFacts, window_s: Seconds) -> dict[int, dict[RoleName, float]]:
    """Return for each second of the window, from 0, the MiB that every role was last seen to use in it.

    A sample that is planned for the end of a second and taken a little later belongs to that second.
    """
    seconds: dict[int, dict[RoleName, float]] = {}
    for role, series in memory_over_time(observed, window_s).items():
        for t_s, mib in series:
            if _LATE_S < t_s <= window_s + _LATE_S:
                seconds.setdefault(math.ceil(t_s - _LATE_S) - 1, {})[role] = round(mib, 2)
    return seconds


def cores_between(
    samples: Sequence[Sample], names: Sequence[str], begin: Seconds, end: Seconds
) -> Cores | None:
    """Return the average cores of some subjects between the samples closest to two times."""
    readable = [sample for sample in samples if all(name in sample.cpu_s for name in names)]
    if not names or len(readable) < 2:
        return None
    first, last = _closest(readable, begin), _closest(readable, end)
    return _rate(readable[first], readable[last], names)


def observer_lateness(samples: Sequence[Sample], window_s: Seconds) -> tuple[Seconds, Seconds]:
    """Return how late the samples at the window's ends were, and the latest one between them.

    Samples are planned for both ends of the window, and at equal intervals from its start. A late observer
    takes the samples that it missed at once, so their number tells the longest interval that was planned.
    """
    times = [sample.t_s for sample in samples if sample.t_s >= -_SLACK_S]
    if not times:
        return 0.0, 0.0
    interval = window_s / max(1, len(times) - 2)
    longest = max((after - before for before, after in pairwise(times)), default=0.0)
    return max(0.0, times[0], times[-1] - window_s), max(0.0, longest - interval)


def _names(subjects: Iterable[Subject], role: RoleName) -> list[str]:
    return [subject.name for subject in subjects if subject.role == role]


def _cpu(samples: Sequence[Sample], names: Sequence[str], window_s: Seconds, peak_s: Seconds) -> Usage | None:
    readable = [sample for sample in samples if all(name in sample.cpu_s for name in names)]
    if not names or len(readable) < 2:
        return None
    begin = _closest(readable, 0.0)
    in_time = sum(sample.t_s <= window_s + LATE_S for sample in readable) - 1
    end = in_time if in_time > begin else len(readable) - 1
    avg = _rate(readable[begin], readable[end], names)
    return None if avg is None else Usage(avg, _peak(readable[begin : end + 1], names, min(peak_s, window_s)))


def _closest(samples: Sequence[Sample], t_s: Seconds) -> int:
    return min(range(len(samples)), key=lambda index: abs(samples[index].t_s - t_s))


def _rate(first: Sample, last: Sample, names: Iterable[str]) -> Cores | None:
    """Return the average cores between two samples, of each subject over the time between its readings."""
    cores = 0.0
    for name in names:
        elapsed = last.read_s.get(name, last.t_s) - first.read_s.get(name, first.t_s)
        if elapsed < _SLACK_S:
            return None
        cores += (last.cpu_s[name] - first.cpu_s[name]) / elapsed
    return max(0.0, cores)


def _peak(samples: Sequence[Sample], names: Sequence[str], width_s: Seconds) -> Cores | None:
    """Return the highest average over any `width_s` that starts and ends at a sample."""
    rates: list[Cores | None] = []
    width_s -= _SLACK_S * 10
    first = 0
    for last in range(1, len(samples)):
        while first + 1 < last and samples[last].t_s - samples[first + 1].t_s >= width_s:
            first += 1
        if samples[last].t_s - samples[first].t_s >= width_s:
            rates.append(_rate(samples[first], samples[last], names))
    return max((rate for rate in rates if rate is not None), default=None)


def _memory(observed: ObservedFacts, names: Sequence[str], window_s: Seconds) -> Usage | None:
    used = [mib for _, mib in _memory_over_time(observed, names, window_s)]
    return Usage(sum(used) / len(used), max(used)) if used else None


def _memory_over_time(
    observed: ObservedFacts, names: Sequence[str], window_s: Seconds
) -> list[tuple[Seconds, float]]:
    """Return when in the measured window some subjects together used how many MiB."""
    return [
        (sample.t_s, sum(sample.rss_bytes[name] for name in names) / BYTES_PER_MIB)
        for sample in observed.samples
        if -_SLACK_S <= sample.t_s <= window_s + 1 and all(name in sample.rss_bytes for name in names)
    ]


def throttling_by_subject(observed: ObservedFacts) -> dict[str, ThrottlingShare]:
    """Return how much its CPU quota throttled every subject that has one, by name."""
    window = [sample.throttling for sample in observed.samples if sample.t_s >= 0]
    shares = {}
    for name in dict.fromkeys(name for costs in window for name in costs):
        readings = [costs[name] for costs in window if name in costs]
        first, last = readings[0], readings[-1]
        periods, throttled = last.periods - first.periods, last.throttled - first.throttled
        shares[name] = ThrottlingShare(periods, throttled, round(last.waited_s - first.waited_s, 4))
    return shares
