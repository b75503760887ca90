"""Reads every subject's cumulative counters at fixed intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from runner.core.facts import ObservedFacts, Sample, Subject, Window
from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.observe.clock import sleep_until
from runner.observe.readers import Reader, reader_for


async def watch(
    subjects: Sequence[Subject],
    window: Window,
    *,
    interval: Seconds,
    on_sample: Callable[[Sample], None],
) -> ObservedFacts:
    """Sample until the measured window ends.

    Samples are taken at ``window.measure_ns + k × interval`` for every integer k from the start of the
    warm-up, and once more at the window's end.

    Args:
        subjects: What to watch; unique names.
        window: The trial's parts on CLOCK_MONOTONIC.
        interval: Seconds between samples, > 0.
        on_sample: Called with each sample at once; a cancelled watch leaves these samples only.
    """
    readers = {subject.name: reader_for(subject) for subject in subjects}
    missing = {name for name, reader in readers.items() if reader is None}
    present = {name: reader for name, reader in readers.items() if reader is not None}
    samples: list[Sample] = []
    for beat_ns in beats(window, ns(interval)):
        await sleep_until(beat_ns)
        sample, unread = _sample(present, window)
        missing |= unread
        samples.append(sample)
        on_sample(sample)
    notes = tuple(f"the counters of {name} could not always be read" for name in sorted(missing))
    return ObservedFacts(tuple(subjects), tuple(samples), notes)


def beats(window: Window, interval_ns: Nanoseconds) -> Iterator[Nanoseconds]:
    """Yield when to sample, on CLOCK_MONOTONIC: whole intervals from the window's start, and its end."""
    first = math.ceil((window.start_ns - window.measure_ns) / interval_ns)
    last = math.ceil((window.end_ns - window.measure_ns) / interval_ns)
    for k in range(first, last):
        yield window.measure_ns + k * interval_ns
    yield window.end_ns


def _sample(readers: Mapping[str, Reader], window: Window) -> tuple[Sample, set[str]]:
    """Read every subject once; also returns the names of those that could not be read."""
    instant_ns = time.monotonic_ns()
    readings = {name: reader.read() for name, reader in readers.items()}
    cpu_s = {name: reading.cpu_s for name, reading in readings.items() if reading.cpu_s is not None}
    rss = {name: reading.rss_bytes for name, reading in readings.items() if reading.rss_bytes is not None}
    throttling = {
        name: reading.throttling for name, reading in readings.items() if reading.throttling is not None
    }
    t_s = round((instant_ns - window.measure_ns) / NS_PER_S, 6)
    return Sample(t_s, cpu_s, rss, throttling), {name for name in readings if name not in cpu_s}
