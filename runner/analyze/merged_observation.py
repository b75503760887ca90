"""What was observed on several machines, as if one observer had seen all of it.

Names of subjects are unique over all machines, so their cumulative counters can stand side by side. A sample
has each counter as it was read nearest to the sample's time, with the time of that reading, so that averages
stay exact. What the kernel says about a whole machine is never merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.units import Seconds

_OF_EVERY_MACHINE: Final = frozenset({Role.SYSTEM, Role.OTHER, Role.RUNNER, Role.DAEMON})
"""Roles that every machine has, so that their names are not unique; on nodes, an agent is the runner."""


def merged(observed: ObservedFacts) -> ObservedFacts:
    """Return what all machines observed of the subjects; the same facts where there is one machine only.

    Counters, programs and what the whole machine used are those of the runner's own machine; what its
    processors did is left out if no part of the system and no generator ran there.
    """
    if not observed.nodes:
        return observed
    own = observed if runs_parts(observed) else _without(observed, Role.SYSTEM)
    parts = [own, *(_without(node, *_OF_EVERY_MACHINE) for node in observed.nodes.values())]
    return replace(
        own,
        subjects=tuple(sorted(chain.from_iterable(part.subjects for part in parts), key=_in_order)),
        samples=_side_by_side([part.samples for part in parts if part.samples]),
        requests={name: count for part in parts for name, count in part.requests.items()},
        peers=tuple(chain.from_iterable(part.peers for part in parts)),
        notes=tuple(dict.fromkeys(chain.from_iterable(part.notes for part in parts))),
        nodes={},
    )


def runs_parts(observed: ObservedFacts) -> bool:
    """Return whether a part of the system or of the generator ran on the runner's own machine."""
    return has_parts(observed.subjects)


def has_parts(subjects: Iterable[Subject]) -> bool:
    """Return whether a part of the system or of the generator is among the subjects of a machine."""
    return any(subject.role not in _OF_EVERY_MACHINE for subject in subjects)


def _in_order(subject: Subject) -> tuple[str, int]:
    """Return a key by which ``app-2`` comes before ``app-10``, on whatever node each is."""
    name, _, number = subject.name.rpartition("-")
    return (name, int(number)) if name and number.isdecimal() else (subject.name, 0)


def _without(observed: ObservedFacts, *roles: Role) -> ObservedFacts:
    subjects = tuple(subject for subject in observed.subjects if subject.role not in roles)
    names = {subject.name for subject in subjects}
    samples = tuple(
        replace(
            sample,
            cpu_s={name: used for name, used in sample.cpu_s.items() if name in names},
            rss_bytes={name: used for name, used in sample.rss_bytes.items() if name in names},
        )
        for sample in observed.samples
    )
    return replace(observed, subjects=subjects, samples=samples)


def _side_by_side(series: Sequence[Sequence[Sample]]) -> tuple[Sample, ...]:
    """Return samples at the times of the longest series, each with what all series had read then."""
    if not series:
        return ()
    longest = max(series, key=len)
    places = [0] * len(series)
    return tuple(_together(sample.t_s, series, places) for sample in longest)


def _together(t_s: Seconds, series: Sequence[Sequence[Sample]], places: list[int]) -> Sample:
    """Return what was read nearest to a time; `places` has where each series was read last, and moves on."""
    nearest = []
    for number, samples in enumerate(series):
        place = places[number]
        while place + 1 < len(samples) and abs(samples[place + 1].t_s - t_s) <= abs(samples[place].t_s - t_s):
            place += 1
        places[number] = place
        nearest.append(samples[place])
    return Sample(
        t_s,
        cpu_s={name: used for sample in nearest for name, used in sample.cpu_s.items()},
        rss_bytes={name: used for sample in nearest for name, used in sample.rss_bytes.items()},
        throttling={name: cost for sample in nearest for name, cost in sample.throttling.items()},
        read_s={name: sample.read_s.get(name, sample.t_s) for sample in nearest for name in sample.cpu_s},
    )
