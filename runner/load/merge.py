"""Merges the workers' seconds into seconds of the whole stage; nothing is lost and nothing invented."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from runner.core.histogram import BUCKETS, EMPTY, Histogram
from runner.core.load_facts import LoadSecond
from runner.load.messages import WireHistogram, WorkerSecond
from runner.load.tally import LATENCIES

_Key = TypeVar("_Key", str, int)
_Counts = TypeVar("_Counts", list[int], defaultdict[int, int])
_COUNTS = ("scheduled", "sent", "succeeded", "dropped", "completed", "in_flight")
_ALWAYS_SENT: Final = tuple(name for name in LATENCIES if name != "first_byte")
_MANY_BYTES: Final = 2 * BUCKETS
_NONE: Final = -(10**9)
_ALL: Final = 10**9
"""Beyond the seconds that a worker may report."""


def merged(
    seconds: Sequence[WorkerSecond], names: Sequence[str] = (), scenarios: Sequence[str] = ()
) -> LoadSecond:
    """Return one second of the stage from those of its workers, at least one.

    Args:
        seconds: Of the workers.
        names: Of the requests of a mix, in order.
        scenarios: Names of the scenarios, in order.
    """
    counts: dict[str, Any] = {name: sum(getattr(second, name) for second in seconds) for name in _COUNTS}
    latencies: dict[str, Any] = {
        name: sum_of(getattr(second, name) for second in seconds) for name in _ALWAYS_SENT
    }
    cpu_s = round(sum(second.cpu_s for second in seconds), 6)
    return LoadSecond(
        seconds[0].index,
        failures=_added(second.failures for second in seconds),
        statuses=_added(second.statuses for second in seconds),
        samples=tuple(sample for second in seconds for sample in second.samples),
        cpu_s=cpu_s,
        parts={
            name: merged(
                list(seconds)
                if len(names) == 1  # its only part is the whole
                else [second.parts[index] for second in seconds if second.parts]
            )
            for index, name in enumerate(names)
        },
        scenarios={
            name: merged([second.scenarios[index] for second in seconds if second.scenarios])
            for index, name in enumerate(scenarios)
        },
        first_byte=_first_byte(seconds, latencies["duration"]),
        **counts,
        **latencies,
    )


def _first_byte(seconds: Sequence[WorkerSecond], duration: Histogram) -> Histogram:
    """Return the merged times to the first byte; of responses in one piece the object `duration` itself."""
    if all(second.first_byte is None for second in seconds):
        return duration
    return sum_of(second.first_byte or second.duration for second in seconds)


def _added(counts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total: Counter[_Key] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def sum_of(wires: Iterable[WireHistogram]) -> Histogram:
    """Return the sum of what workers reported, without loss."""
    filled = [wire for wire in wires if wire.buckets]
    if not filled:
        return EMPTY
    total_ns, max_ns = sum(wire.total_ns for wire in filled), max(wire.max_ns for wire in filled)
    if sum(len(wire.buckets) for wire in filled) < _MANY_BYTES:
        return Histogram(_add(defaultdict(int), filled), total_ns, max_ns)
    counts = _add([0] * BUCKETS, filled)  # for many workers faster than a dictionary
    return Histogram({index: number for index, number in enumerate(counts) if number}, total_ns, max_ns)


def _add(counts: _Counts, wires: Iterable[WireHistogram]) -> _Counts:
    for wire in wires:
        for index, number in zip(*wire.arrays, strict=True):
            counts[index] += number
    return counts


class Collector:
    """Gathers workers' seconds until all workers have reported one.

    Args:
        workers: Number of workers that report.
        names: Of the requests of a mix, in order; empty for one request.
        scenarios: Names of the scenarios, in order.
    """

    def __init__(self, workers: int, names: Sequence[str] = (), scenarios: Sequence[str] = ()) -> None:
        self._names, self._scenarios = names, scenarios
        self._open: dict[int, list[WorkerSecond]] = {}
        self._passed = [_NONE] * workers
        self._workers_at = Counter({_NONE: workers})

    def add(self, worker: int, second: WorkerSecond) -> list[LoadSecond]:
        """Take a worker's second; returns the seconds that are complete now, in order."""
        self._open.setdefault(second.index, []).append(second)
        return self._complete(worker, second.index)

    def end(self, worker: int) -> list[LoadSecond]:
        """A worker reports no more; returns the seconds that are complete now, in order."""
        return self._complete(worker, _ALL)

    def _complete(self, worker: int, index: int) -> list[LoadSecond]:
        """Return the seconds that every worker has passed, now that one has passed `index`."""
        self._pass(worker, index)
        horizon = min(self._workers_at)
        ready = sorted(index for index in self._open if index <= horizon)
        return [merged(self._open.pop(index), self._names, self._scenarios) for index in ready]

    def _pass(self, worker: int, index: int) -> None:
        """Note how far a worker is; with many workers, few seconds are not yet passed by all."""
        before, self._passed[worker] = self._passed[worker], index
        self._workers_at[index] += 1
        self._workers_at[before] -= 1
        if not self._workers_at[before]:
            del self._workers_at[before]
