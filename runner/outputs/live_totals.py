"""What a run in progress has done so far, as totals that only grow and as the state of this second.

One thread writes it, the run's; others read it at any time: who scrapes, and what pushes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from runner.core.histogram import Histogram, bucket
from runner.core.live import LiveRecord, Probe, RunBegins, RunEnds, Second, TrialBegins, TrialEnds
from runner.core.load_facts import LoadSecond
from runner.core.units import NS_PER_S, US_PER_S, Seconds

BOUNDS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the buckets of latencies; one more bucket has what is longer."""
ALL: Final = "all"
"""Name of the request where there is only one, or too many."""
OTHER: Final = "other"
SUCCEEDED: Final = "succeeded"
DROPPED: Final = "dropped"
_MAX_STAGES: Final = 200
_MAX_NAMES: Final = 50
_LAST_BUCKETS: Final = [bucket(round(bound * US_PER_S)) for bound in BOUNDS_S]


@dataclass(slots=True)
class Buckets:
    """A cumulative latency with few buckets.

    Attributes:
        counts: Values up to each of `BOUNDS_S` and above the one before, then the longer ones. A value up to
            0.1 % above a bound may be counted below it.
        sum_s: Of all values.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: Seconds = 0.0

    def add(self, values: Histogram) -> None:
        """Count the values of one second."""
        for index, count in values.items():
            self.counts[bisect_left(_LAST_BUCKETS, index)] += count
        self.sum_s += values.total_ns / NS_PER_S

    def copy(self) -> Buckets:
        """Return one that does not change."""
        return Buckets(list(self.counts), self.sum_s)


@dataclass(slots=True)
class Times:
    """When something began and ended, in Unix time; 0 before."""

    begin: float = 0.0
    end: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Whose totals they are; counter-experiments and repeats of a stage share them."""

    configuration: str
    stage: str


@dataclass(slots=True)
class StageTotals:
    """Totals of a stage.

    Attributes:
        requests: Name of the request, then how it ended, to their number.
        scenarios: Name of the scenario, then how its run ended, likewise.
        duration: Name of the request to its durations.
        response_time: Likewise.
        scenario_duration: Name of the scenario likewise.
        trials: How its trials ended to their number.
        probes: What a search's probes said to their number.
    """

    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    scenarios: dict[tuple[str, str], int] = field(default_factory=dict)
    duration: dict[str, Buckets] = field(default_factory=dict)
    response_time: dict[str, Buckets] = field(default_factory=dict)
    scenario_duration: dict[str, Buckets] = field(default_factory=dict)
    trials: dict[str, int] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class LiveTotals:
    """Receives the records and the seconds of a run; hold `lock` to read.

    Attributes:
        run: None before the run begins.
        times: Of the run.
        trial_times: Number of a trial to its times.
        trial: The current trial, or the last one.
        second: Its last second; None before the first.
        ended: Whether the trial has ended.
        end: None before the run ends.
        last_stages: The last two that began.
    """

    run: RunBegins | None = None
    times: Times = field(default_factory=Times)
    trial_times: dict[int, Times] = field(default_factory=dict)
    trial: TrialBegins | None = None
    second: Second | None = None
    ended: bool = False
    end: RunEnds | None = None
    stages: dict[Stage, StageTotals] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    last_stages: tuple[Stage, ...] = ()
    _of_number: dict[int, Stage] = field(default_factory=dict)

    def record(self, record: LiveRecord) -> None:
        """Handle a record of the run."""
        with self.lock:
            self._record(record)

    def load(self, second: LoadSecond) -> None:
        """Count one second of load of the current trial."""
        with self.lock:
            if self.trial is not None:
                _count(self._totals(self._of_number[self.trial.number]), second)

    def _record(self, record: LiveRecord) -> None:
        match record:
            case RunBegins():
                self.run = record
                self.times.begin = time.time()
            case TrialBegins():
                self.trial, self.second, self.ended = record, None, False
                self.trial_times[record.number] = Times(record.at_s, record.at_s)
                stage = Stage(record.configuration, record.stage)
                self._of_number[record.number] = stage
                self.last_stages = (*(one for one in self.last_stages if one != stage), stage)[-2:]
            case Second():
                self.second = record
            case Probe(number=number) if number in self._of_number:
                said = {True: "passed", False: "failed", None: "undecided"}[record.passed]
                _add(self._totals(self._of_number[number]).probes, said)
            case TrialEnds(number=number) if number in self._of_number:  # not one of an earlier part of a run
                self.ended = True
                self.trial_times[number].end = record.at_s
                _add(self._totals(self._of_number[number]).trials, record.status)
            case RunEnds():
                self.end = record
                self.times.end = record.at_s
            case _:
                pass

    def _totals(self, stage: Stage) -> StageTotals:
        if stage not in self.stages and len(self.stages) >= _MAX_STAGES:
            stage = Stage(OTHER, OTHER)
        return self.stages.setdefault(stage, StageTotals())


def _count(totals: StageTotals, second: LoadSecond) -> None:
    parts = second.parts or {ALL: second}
    for name, part in parts.items():
        own = _bounded(name, totals.duration)
        _count_ends(totals.requests, own, SUCCEEDED, part.succeeded, part)
        totals.duration.setdefault(own, Buckets()).add(part.duration)
        if part.response_time:
            totals.response_time.setdefault(own, Buckets()).add(part.response_time)
    for name, runs in second.scenarios.items():
        own = _bounded(name, totals.scenario_duration)
        _count_ends(totals.scenarios, own, "completed", runs.succeeded, runs)
        totals.scenario_duration.setdefault(own, Buckets()).add(runs.response_time)


def _count_ends(
    counts: dict[tuple[str, str], int], name: str, well: str, succeeded: int, part: LoadSecond
) -> None:
    ends = {well: succeeded, **part.failures, DROPPED: part.dropped}
    for result, number in ends.items():
        if number or result == well:
            counts[name, result] = counts.get((name, result), 0) + number


def _bounded(name: str, known: Mapping[str, object]) -> str:
    return name if name in known or len(known) < _MAX_NAMES else OTHER


def _add(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1
