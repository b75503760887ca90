"""Workers' lines into seconds of the whole stage; nothing is lost and nothing invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.facts import LoadSecond
from runner.core.histogram import Histogram, merge
from runner.load.tally import LATENCIES

_COUNTS = ("scheduled", "sent", "succeeded", "dropped", "completed", "in_flight")


def merged(lines: Sequence[Mapping[str, Any]]) -> LoadSecond:
    """One second of the stage from the lines of all workers about it, at least one."""
    failures: dict[str, int] = {}
    for line in lines:
        for kind, count in line["failures"].items():
            failures[kind] = failures.get(kind, 0) + count
    counts: dict[str, Any] = {name: sum(line[name] for line in lines) for name in _COUNTS}
    latencies: dict[str, Any] = {name: merge(_histogram(line[name]) for line in lines) for name in LATENCIES}
    cpu_s = round(sum(line["cpu_s"] for line in lines), 6)
    return LoadSecond(lines[0]["index"], failures=failures, cpu_s=cpu_s, **counts, **latencies)


def _histogram(packed: Sequence[Any]) -> Histogram:
    buckets, counts, total_ns, max_ns = packed
    return Histogram(dict(zip(buckets, counts, strict=True)), total_ns, max_ns)


class Collector:
    """Gathers workers' lines until a second is whole.

    Args:
        workers: How many workers report.
    """

    def __init__(self, workers: int) -> None:
        self._open: dict[int, list[Mapping[str, Any]]] = {}
        self._last = [-(10**9)] * workers
        self._ended = [False] * workers

    def line(self, worker: int, line: Mapping[str, Any]) -> list[LoadSecond]:
        """Take a worker's line; returns the seconds that are whole now, in order."""
        self._open.setdefault(line["index"], []).append(line)
        self._last[worker] = line["index"]
        return self._whole()

    def end(self, worker: int) -> list[LoadSecond]:
        """A worker reports no more; returns the seconds that are whole now, in order."""
        self._ended[worker] = True
        return self._whole()

    def _whole(self) -> list[LoadSecond]:
        """Seconds that every worker has passed; a worker that has ended has passed them all."""
        waiting = [last for last, ended in zip(self._last, self._ended, strict=True) if not ended]
        horizon = min(waiting, default=10**9)
        ready = sorted(index for index in self._open if index <= horizon)
        return [merged(self._open.pop(index)) for index in ready]
