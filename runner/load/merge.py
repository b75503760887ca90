"""Merges the workers' seconds into seconds of the whole stage; nothing is lost and nothing invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from runner.core.histogram import Histogram, merge
from runner.core.load_facts import LoadSecond
from runner.load.messages import WireHistogram, WorkerSecond
from runner.load.tally import LATENCIES

_Key = TypeVar("_Key", str, int)
_COUNTS = ("scheduled", "sent", "succeeded", "dropped", "completed", "in_flight")


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
        name: merge(histogram_of(getattr(second, name)) for second in seconds) for name in LATENCIES
    }
    if latencies["first_byte"] == latencies["duration"]:  # of responses in one piece: once in memory
        latencies["first_byte"] = latencies["duration"]
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
        **counts,
        **latencies,
    )


def _added(counts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total: Counter[_Key] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def histogram_of(wire: WireHistogram) -> Histogram:
    """Return the histogram that a worker reported."""
    return Histogram(dict(zip(wire.buckets, wire.counts, strict=True)), wire.total_ns, wire.max_ns)


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
        self._last = [-(10**9)] * workers
        self._ended = [False] * workers

    def add(self, worker: int, second: WorkerSecond) -> list[LoadSecond]:
        """Take a worker's second; returns the seconds that are complete now, in order."""
        self._open.setdefault(second.index, []).append(second)
        self._last[worker] = second.index
        return self._complete()

    def end(self, worker: int) -> list[LoadSecond]:
        """A worker reports no more; returns the seconds that are complete now, in order."""
        self._ended[worker] = True
        return self._complete()

    def _complete(self) -> list[LoadSecond]:
        """Seconds that every worker has passed; a worker that has ended has passed them all."""
        waiting = [last for last, ended in zip(self._last, self._ended, strict=True) if not ended]
        horizon = min(waiting, default=10**9)
        ready = sorted(index for index in self._open if index <= horizon)
        return [merged(self._open.pop(index), self._names, self._scenarios) for index in ready]
