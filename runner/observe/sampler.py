"""Reads every subject's cumulative counters on a fixed beat."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import trio

from runner.core.facts import ObservedFacts, Sample, Subject, Window
from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.observe.readers import Reader, reader_for


async def watch(
    subjects: Sequence[Subject],
    window: Window,
    *,
    interval: Seconds,
    on_sample: Callable[[Sample], None],
) -> ObservedFacts:
    """Sample until the measured window ends.

    Samples are taken at ``window.measure_ns + k × interval`` for every whole k from the
    start of the warm-up, and one more at the window's end.

    Args:
        subjects: Whom to watch; unique names.
        window: The trial's parts on CLOCK_MONOTONIC.
        interval: Seconds between samples, > 0.
        on_sample: Given each sample at once; all that remains of a cancelled watch.
    """
    readers = {subject.name: reader_for(subject) for subject in subjects}
    missing = {name for name, reader in readers.items() if reader is None}
    present = {name: reader for name, reader in readers.items() if reader is not None}
    samples: list[Sample] = []
    for beat_ns in beats(window, ns(interval)):
        await _sleep_until(beat_ns)
        sample, unread = _look(present, window)
        missing |= unread
        samples.append(sample)
        on_sample(sample)
    notes = tuple(f"the counters of {name} could not be read all the time" for name in sorted(missing))
    return ObservedFacts(tuple(subjects), tuple(samples), notes)


def beats(window: Window, interval_ns: Nanoseconds) -> Iterator[Nanoseconds]:
    """When to sample, on CLOCK_MONOTONIC: whole intervals from the window's start, and its end."""
    first = math.ceil((window.start_ns - window.measure_ns) / interval_ns)
    last = math.ceil((window.end_ns - window.measure_ns) / interval_ns)
    for k in range(first, last):
        yield window.measure_ns + k * interval_ns
    yield window.end_ns


async def _sleep_until(instant_ns: Nanoseconds) -> None:
    """Sleep on the schedule's clock; a beat that has passed is taken at once, so no drift adds up."""
    await trio.sleep(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S))


def _look(readers: Mapping[str, Reader], window: Window) -> tuple[Sample, set[str]]:
    """Read everybody once; also the names of those that could not be read."""
    instant_ns = time.monotonic_ns()
    readings = {name: reader.read() for name, reader in readers.items()}
    cpu_s = {name: reading.cpu_s for name, reading in readings.items() if reading.cpu_s is not None}
    rss = {name: reading.rss_bytes for name, reading in readings.items() if reading.rss_bytes is not None}
    throttling = {name: each.throttling for name, each in readings.items() if each.throttling is not None}
    t_s = round((instant_ns - window.measure_ns) / NS_PER_S, 6)
    return Sample(t_s, cpu_s, rss, throttling), {name for name in readings if name not in cpu_s}
