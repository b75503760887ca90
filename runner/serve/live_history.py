"""What a page of a run in progress shows to one who comes late: all trials, in a bounded number of points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from runner.core.live import (
    LiveRecord,
    LoadEnds,
    Note,
    PartSecond,
    Probe,
    RunBegins,
    RunEnds,
    Second,
    TrialBegins,
    TrialEnds,
    TrialsPlanned,
)
from runner.core.units import Milliseconds

MAX_POINTS: Final = 400
"""Of the trial under way; beyond, two neighbours become one."""
_POINTS_OF_ENDED: Final = 100
_MAX_DRAWN: Final = 40
"""How many ended trials keep their points: the last ones."""
MAX_TRIALS: Final = 2000
_MAX_NOTES: Final = 200
_MAX_PLANS: Final = 50


@dataclass(slots=True)
class TrialHistory:
    """One trial.

    Attributes:
        points: Its seconds in order; of a long trial, each stands for `width` of them.
        parts: Of a mix: the sums of its seconds' counts, with the last figures.
    """

    begins: TrialBegins
    points: list[Second] = field(default_factory=list)
    parts: dict[str, PartSecond] = field(default_factory=dict)
    ends: TrialEnds | None = None
    probe: Probe | None = None
    width: int = 1
    _waiting: list[Second] = field(default_factory=list)

    def add(self, second: Second) -> None:
        """Add the next second."""
        for name, part in second.parts.items():
            self.parts[name] = _sum(self.parts.get(name), part)
        self._waiting.append(replace(second, parts={}))
        if len(self._waiting) < self.width:
            return
        self.points.append(merged(self._waiting))
        self._waiting = []
        if len(self.points) > MAX_POINTS:
            self._halve()

    def end(self, ends: TrialEnds) -> None:
        """Note its end; from now on it needs fewer points."""
        self.ends = ends
        if self._waiting:
            self.points.append(merged(self._waiting))
            self._waiting = []
        while len(self.points) > _POINTS_OF_ENDED:
            self._halve()

    def records(self) -> Iterator[LiveRecord]:
        """Yield what shows it; the last point has the sums of the parts."""
        yield self.begins
        points = [*self.points, *self._waiting]
        yield from points[:-1]
        if points:
            yield replace(points[-1], parts=self.parts)
        if self.ends is not None:
            yield self.ends
        if self.probe is not None:
            yield self.probe

    def _halve(self) -> None:
        self.points = [merged(self.points[at : at + 2]) for at in range(0, len(self.points), 2)]
        self.width *= 2


class RunHistory:
    """One run, in a bounded amount of memory whatever its length."""

    def __init__(self) -> None:
        self.begins: RunBegins | None = None
        self.ends: RunEnds | None = None
        self._load_ends: LoadEnds | None = None
        self._plans: list[TrialsPlanned] = []
        self._notes: list[Note] = []
        self._trials: dict[int, TrialHistory] = {}
        self._earlier: list[TrialEnds | Probe] = []
        self._current: TrialHistory | None = None

    def add(self, record: LiveRecord) -> None:
        """Add the next record of the run."""
        match record:
            case RunBegins():
                self.__init__()  # type: ignore[misc]  # an interrupted run is resumed: it begins anew
                self.begins = record
            case LoadEnds() | RunEnds():
                self._end_of_all(record)
            case TrialsPlanned():
                self._plans = [*self._plans, record][:_MAX_PLANS]
            case Note():
                self._notes = [*self._notes, record][-_MAX_NOTES:]
            case TrialBegins():
                self._begin(record)
            case Second():
                if self._current is not None:
                    self._current.add(record)
            case TrialEnds():
                self._end(record)
            case Probe():
                self._judge(record)

    def _end_of_all(self, record: LoadEnds | RunEnds) -> None:
        if isinstance(record, LoadEnds):
            self._load_ends = record
        else:
            self.ends = record

    def records(self) -> Iterator[LiveRecord]:
        """Yield the records that show the run as it is now."""
        if self.begins is not None:
            yield self.begins
        yield from self._plans
        yield from self._earlier
        for trial in self._trials.values():
            yield from trial.records()
        yield from self._notes
        if self._load_ends is not None:
            yield self._load_ends
        if self.ends is not None:
            yield self.ends

    def _begin(self, record: TrialBegins) -> None:
        self._current = TrialHistory(record)
        if len(self._trials) < MAX_TRIALS:
            self._trials[record.number] = self._current

    def _judge(self, record: Probe) -> None:
        if (trial := self._trials.get(record.number)) is not None:
            trial.probe = record
        else:
            self._earlier = [*self._earlier, record][:MAX_TRIALS]

    def _end(self, record: TrialEnds) -> None:
        trial = self._trials.get(record.number)
        if trial is None:
            self._earlier = [*self._earlier, record][:MAX_TRIALS]
            return
        trial.end(record)
        drawn = [other for other in self._trials.values() if other.ends and other.points]
        for other in drawn[:-_MAX_DRAWN]:
            other.points = []
        self._current = None


def merged(seconds: list[Second]) -> Second:
    """Return one point for consecutive seconds: means of rates, sums of counts, the worst of the rest."""
    if len(seconds) == 1:
        return seconds[0]
    last, n = seconds[-1], len(seconds)
    return replace(
        last,
        rps=sum(second.rps for second in seconds) / n,
        offered=sum(second.offered for second in seconds),
        succeeded=sum(second.succeeded for second in seconds),
        p50_ms=_worst([second.p50_ms for second in seconds]),
        p95_ms=_worst([second.p95_ms for second in seconds]),
        p99_ms=_worst([second.p99_ms for second in seconds]),
        failures=_counts(second.failures for second in seconds),
        in_flight=max((second.in_flight for second in seconds if second.in_flight is not None), default=None),
        seconds=sum(second.seconds for second in seconds),
        cores={
            role: sum(second.cores.get(role, 0.0) for second in seconds) / n
            for role in dict.fromkeys(role for second in seconds for role in second.cores)
        },
        scenarios_completed=sum(second.scenarios_completed for second in seconds),
        scenario_failures=_counts(second.scenario_failures for second in seconds),
        scenario_p95_ms=_worst([second.scenario_p95_ms for second in seconds]),
    )


def _worst(values: list[Milliseconds | None]) -> Milliseconds | None:
    return max((value for value in values if value is not None), default=None)


def _counts(kinds: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in kinds:
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0) + count
    return total


def _sum(before: PartSecond | None, part: PartSecond) -> PartSecond:
    if before is None:
        return part
    return replace(
        part,
        offered=before.offered + part.offered,
        succeeded=before.succeeded + part.succeeded,
        p95_ms=before.p95_ms if part.p95_ms is None else part.p95_ms,
        failures=_counts(iter((before.failures, part.failures))),
    )
