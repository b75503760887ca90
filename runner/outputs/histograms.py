"""One row for each bucket of each latency histogram of a trial, so that any percentile can be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.histogram import HIGHEST_US, Histogram, highest_us, lowest_us, merge
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.metrics import LATENCIES, SCENARIO_DURATION
from runner.outputs.column import Column, Kind
from runner.outputs.place import PLACE_COLUMNS, Part, Place

_OF_RUNS: Final = {SCENARIO_DURATION.name: "response_time", "dispatch_delay": "dispatch_delay"}
"""Latency of a scenario's runs to the field that has it."""
_OF_REQUESTS: Final = {kind.name: kind.name for kind in LATENCIES}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a histogram that is not empty.

    Attributes:
        latency: What was timed.
        index: Of the bucket.
        count: How many values are in it.
    """

    place: Place
    part: Part
    name: str
    latency: str
    index: int
    count: int


def buckets(places: Sequence[Place]) -> Iterator[Bucket]:
    """Yield the buckets of every part of some trials, in order of the parts, of the latency and of its value.

    A latency that an engine reports without a histogram (k6) has none.
    """
    for place in places:
        if place.trial.load:
            yield from _of_load(place, place.trial.load)


def _of_load(place: Place, load: LoadFacts) -> Iterator[Bucket]:
    yield from _of_part(place, Part.STAGE, "", load.seconds, _OF_REQUESTS)
    for name in load.parts:
        own = [second.parts[name] for second in load.seconds if name in second.parts]
        yield from _of_part(place, Part.REQUEST, name, own, _OF_REQUESTS)
    for name in load.scenarios:
        own = [second.scenarios[name] for second in load.seconds if name in second.scenarios]
        yield from _of_part(place, Part.SCENARIO, name, own, _OF_RUNS)


def _of_part(
    place: Place, part: Part, name: str, seconds: Sequence[LoadSecond], fields: Mapping[str, str]
) -> Iterator[Bucket]:
    for latency, field in fields.items():
        merged: Histogram = merge(getattr(second, field) for second in seconds)
        for index, count in merged.items():
            yield Bucket(place, part, name, latency, index, count)


HISTOGRAM_COLUMNS: Final[tuple[Column[Bucket], ...]] = (
    *PLACE_COLUMNS,
    Column(
        "latency",
        Kind.TEXT,
        "",
        f"What was timed: {', '.join(f'`{kind.name}`' for kind in (*LATENCIES, SCENARIO_DURATION))}",
        lambda row: row.latency,
    ),
    Column(
        "lower_us",
        Kind.COUNT,
        "µs",
        "The lowest value that the bucket counts",
        lambda row: lowest_us(row.index),
    ),
    Column(
        "upper_us",
        Kind.COUNT,
        "µs",
        f"The highest value that it counts; the bucket of {HIGHEST_US} also has all longer ones",
        lambda row: highest_us(row.index),
    ),
    Column(
        "count",
        Kind.COUNT,
        "",
        "How many values of what was due in the measured window are in it",
        lambda row: row.count,
    ),
)
"""One row for each bucket that is not empty."""
