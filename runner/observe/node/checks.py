"""What an agent sent about its node, as far as it can be true: agents run on machines of others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.observed_facts import (
    Counter,
    ObservedFacts,
    Program,
    Sample,
    Subject,
    Unreadable,
)
from runner.core.units import Seconds
from runner.observe.bounds import MAX_VALUE, is_in_range
from runner.observe.node.messages import DAEMONS, FORWARDER, HUB, SHIM

MAX_SAMPLE_BYTES: Final = 512 * 1024
MAX_FACTS_BYTES: Final = 8 * 1024 * 1024
_MAX_ITEMS: Final = 20_000
_MAX_ENGINE: Final = 1_000
_ENGINE: Final = re.compile(
    rf"(?:{'|'.join((*DAEMONS, SHIM, FORWARDER, HUB))})(?:-[1-9][0-9]{{0,5}})?", re.ASCII
)
"""Subjects of the engine and hubs, of which the runner does not know how many there are."""
_MAX_NOTES: Final = 100
_MAX_PROGRAMS: Final = 10
_MAX_CHARACTERS: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}", re.ASCII)
_UNIT: Final = re.compile(r"[A-Za-z]{1,20}", re.ASCII)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_Value = TypeVar("_Value")


def checked_sample(sample: Sample, names: Collection[str], after_s: Seconds, end_s: Seconds) -> Sample | None:
    """Return a sample of expected subjects and of the engine only, None if it cannot be true.

    Args:
        sample: As it came.
        names: Of the subjects that the agent was told to watch.
        after_s: Time of the sample before it; it must be later.
        end_s: Time at which no sample can be later.
    """
    if not after_s < sample.t_s <= end_s:
        return None
    numbers = (*sample.cpu_s.values(), *sample.rss_bytes.values(), *sample.read_s.values())
    waits = [
        number for one in sample.throttling.values() for number in (one.periods, one.throttled, one.waited_s)
    ]
    if not all(map(is_in_range, numbers)) or not all(0 <= number <= MAX_VALUE for number in waits):
        return None
    return Sample(
        sample.t_s,
        _of(sample.cpu_s, names),
        _of(sample.rss_bytes, names),
        _of(sample.throttling, names),
        _of(sample.read_s, names),
    )


def checked_facts(facts: ObservedFacts, expected: Mapping[str, Subject]) -> ObservedFacts:
    """Return the facts of expected subjects, without what cannot be true or cannot be shown.

    Args:
        facts: As they came.
        expected: Subject that the agent was told to watch, by name.
    """
    subjects = {one.name: one for one in facts.subjects if _is_expected(one, expected.get(one.name))}
    engine = [one for one in subjects.values() if one.name not in expected]
    return ObservedFacts(
        subjects=(*(subjects.get(name, one) for name, one in expected.items()), *engine[:_MAX_ENGINE]),
        samples=(),
        notes=tuple(_plain(note) for note in facts.notes[:_MAX_NOTES]),
        counters=tuple(one for one in facts.counters[:_MAX_ITEMS] if _is_counter(one)),
        unreadable=tuple(_unreadable(facts)),
        programs=tuple(
            replace(one, name=_plain(one.name), pids=one.pids[:16], serves=False, port=None)
            for one in facts.programs[:_MAX_PROGRAMS]
            if _is_program(one)
        ),
    )


def _of(values: Mapping[str, _Value], names: Collection[str]) -> dict[str, _Value]:
    kept = ((name, value) for name, value in values.items() if name in names or _ENGINE.fullmatch(name))
    return dict(islice(kept, len(names) + _MAX_ENGINE))


def _is_expected(subject: Subject, expected: Subject | None) -> bool:
    if expected is None:
        expected = Subject(subject.name, _role_of_engine(subject.name), "process")
        if not _ENGINE.fullmatch(subject.name):
            return False
    if (subject.role, subject.kind) != (expected.role, expected.kind):
        return False
    return all(number is None or 0 <= number <= MAX_VALUE for number in (subject.pid, subject.started))


def _role_of_engine(name: str) -> Role:
    if name.startswith(FORWARDER):
        return Role.FORWARDER
    return Role.RUNNER if name.partition("-")[0] == HUB else Role.DAEMON


def _is_counter(counter: Counter) -> bool:
    numbers = (counter.before, counter.after, counter.peak, counter.limit, counter.from_s, counter.to_s)
    names = _NAME.fullmatch(counter.scope) and _NAME.fullmatch(counter.name) and _UNIT.fullmatch(counter.unit)
    return bool(names) and all(number is None or 0 <= number <= MAX_VALUE for number in numbers)


def _is_program(program: Program) -> bool:
    numbers = (program.cores, program.busiest_thread or 0.0, *program.pids)
    return bool(program.name) and all(0 <= number <= MAX_VALUE for number in numbers)


def _unreadable(facts: ObservedFacts) -> Iterator[Unreadable]:
    for one in facts.unreadable[:_MAX_ITEMS]:
        if _NAME.fullmatch(one.scope) and one.name and one.reason:
            yield Unreadable(one.scope, _plain(one.name), _plain(one.reason))


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:_MAX_CHARACTERS]
