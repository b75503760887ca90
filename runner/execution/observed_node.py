"""What is known of one node in a trial, from what its agent sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from runner.cluster.facts import ClockOffset
from runner.core.codes import Role
from runner.core.compact import CompactList
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, PlacedPart, Sample, Subject
from runner.core.units import Seconds
from runner.observe.counters.page_watch import Pages
from runner.observe.counters.series import Readings
from runner.observe.node.checks import MAX_FACTS_BYTES, MAX_SAMPLE_BYTES, checked_facts, checked_sample
from runner.observe.node.messages import AGENT, MIN_INTERVAL_S, ObserveOrder, decode_facts, decode_sample


@dataclass(slots=True)
class ObservedNode:
    """What is known of one node.

    Args:
        name: Of the node.
        placed: The parts of the system on it.
        workers: Subject's name to the process id that its agent knows of a generator.
        pages: Of its parts.

    Attributes:
        readings: Of the pages.
        samples: In time order.
        final: The agent's answer; None before it.
        subjects: What the agent is told to observe.
    """

    name: str
    placed: tuple[PlacedPart, ...]
    workers: Mapping[str, int]
    pages: Pages
    readings: Readings = field(default_factory=Readings)
    samples: CompactList[Sample] = field(default_factory=lambda: CompactList(Sample))
    final: ObservedFacts | None = None
    subjects: tuple[Subject, ...] = field(init=False)
    _names: frozenset[str] = field(init=False)
    _latest_s: Seconds = field(default=-1e9, init=False)
    _refused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        parts = (Subject(part.name, part.role, "cgroup", part.pid) for part in self.placed)
        workers = (Subject(name, Role.GENERATOR, "process") for name in self.workers)
        agent = Subject(AGENT, Role.RUNNER, "process")
        self.subjects = (*parts, *workers, agent, Subject("system", Role.SYSTEM, "system"))
        self._names = frozenset(subject.name for subject in self.subjects)

    def order(self, window: Window, interval: Seconds, clock: ClockOffset, run_id: str) -> ObserveOrder:
        """Return what its agent is told, in the time of its clock."""
        start_ns, measure_ns, end_ns = map(
            clock.to_node_ns, (window.start_ns, window.measure_ns, window.end_ns)
        )
        return ObserveOrder(
            Window(start_ns, measure_ns, end_ns),
            max(interval, MIN_INTERVAL_S),
            run_id,
            self.placed,
            self.workers,
        )

    def take(self, item: bytes, end_s: Seconds) -> Sample | None:
        """Keep one sample; None if it is none."""
        sample = None
        if len(item) <= MAX_SAMPLE_BYTES:
            with suppress(msgspec.MsgspecError, ValueError, OverflowError):
                sample = checked_sample(decode_sample(item), self._names, self._latest_s, end_s)
        if sample is None:
            self._refused += 1
            return None
        self._latest_s = sample.t_s
        self.samples.append(sample)
        return sample

    def conclude(self, answer: bytes) -> None:
        """Keep an agent's answer, if it is one."""
        if len(answer) <= MAX_FACTS_BYTES:
            with suppress(msgspec.MsgspecError, ValueError, OverflowError):
                expected = {subject.name: subject for subject in self.subjects}
                self.final = checked_facts(decode_facts(answer), expected)

    def facts(self) -> ObservedFacts:
        """Return what is known so far."""
        base = self.final or ObservedFacts(self.subjects, ())
        counters, unreadable = self.readings.conclude()
        requests, notes = self.pages.requests()
        return replace(
            base,
            samples=tuple(self.samples),
            counters=(*base.counters, *counters),
            unreadable=(*base.unreadable, *unreadable),
            requests=requests,
            notes=(*base.notes, *notes, *self._gaps()),
        )

    def _gaps(self) -> Iterator[str]:
        if self.final is None:
            yield f"the agent of {self.name} was lost or did not answer, so counters and programs are missing"
        if self._refused:
            yield f"{self._refused:,} samples of the agent of {self.name} could not be used"
