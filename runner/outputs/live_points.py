"""The values of the metrics of a run in progress, read from its totals at this instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.core.live import Second
from runner.outputs.live_totals import Buckets, LiveTotals, StageTotals


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric.

    Attributes:
        labels: Values of the labels of its family, in their order.
    """

    labels: tuple[str, ...]
    value: float | Buckets


def _experiment(totals: LiveTotals) -> str:
    return totals.run.experiment if totals.run else ""


def run_state(totals: LiveTotals) -> Iterator[Point]:
    """Yield 1 while the run is in progress, 0 after its end."""
    if totals.run:
        yield Point((totals.run.experiment, totals.run.run_id), float(totals.end is None))


def current(read: Callable[[Second], float | None]) -> Callable[[LiveTotals], Iterator[Point]]:
    """Return what reads a number of the current second, without further labels."""

    def points(totals: LiveTotals) -> Iterator[Point]:
        if totals.trial and totals.second and (value := read(totals.second)) is not None:
            yield Point(_place(totals), value)

    return points


def of_roles(
    read: Callable[[Second], Iterator[tuple[str, float]]],
) -> Callable[[LiveTotals], Iterator[Point]]:
    """Return what reads a number of the current second for each role or other name."""

    def points(totals: LiveTotals) -> Iterator[Point]:
        if totals.trial and totals.second:
            for name, value in read(totals.second):
                yield Point((*_place(totals), name), value)

    return points


def _place(totals: LiveTotals) -> tuple[str, ...]:
    trial = totals.trial
    assert trial is not None
    return (_experiment(totals), trial.configuration, trial.stage)


def of_trial(read: Callable[[LiveTotals], float]) -> Callable[[LiveTotals], Iterator[Point]]:
    """Return what reads a number of the current trial."""

    def points(totals: LiveTotals) -> Iterator[Point]:
        if totals.trial:
            yield Point(_place(totals), read(totals))

    return points


def of_stages(
    read: Callable[[StageTotals], Iterator[tuple[tuple[str, ...], float | Buckets]]],
) -> Callable[[LiveTotals], Iterator[Point]]:
    """Return what reads totals of every stage that has begun."""

    def points(totals: LiveTotals) -> Iterator[Point]:
        for stage, counted in totals.stages.items():
            for more, value in read(counted):
                own = value.copy() if isinstance(value, Buckets) else value
                yield Point((_experiment(totals), stage.configuration, stage.stage, *more), own)

    return points


def counts(numbers: dict[str, int]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield each count with its name as the label."""
    yield from (((name,), number) for name, number in numbers.items())


def buckets(latencies: dict[str, Buckets]) -> Iterator[tuple[tuple[str, ...], Buckets]]:
    """Yield each histogram with its name as the label."""
    yield from (((name,), latency) for name, latency in latencies.items())


def percentiles(second: Second) -> Iterator[tuple[str, float]]:
    """Yield the percentiles of a second, in seconds."""
    for name, ms in (("p50", second.p50_ms), ("p95", second.p95_ms), ("p99", second.p99_ms)):
        if ms is not None:
            yield name, ms / 1000


def elapsed(totals: LiveTotals) -> float:
    """Return the seconds since the current trial began, its warm-up included."""
    trial = totals.trial
    assert trial is not None
    return (totals.second.t_s if totals.second else 0.0) + (trial.warmup_s if totals.second else 0.0)


def length(totals: LiveTotals) -> float:
    """Return the planned seconds of the current trial, its warm-up included."""
    assert totals.trial is not None
    return totals.trial.warmup_s + totals.trial.duration_s
