"""Reads every subject's cumulative counters at fixed intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from runner.core.compact import CompactList
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, Sample, Subject, Throttling
from runner.core.units import NS_PER_S, Bytes, Nanoseconds, Seconds, ns
from runner.observe.bounds import is_in_range
from runner.observe.clock import sleep_until
from runner.observe.readers import Reader, Reading, reader_for

_SLOW_NS: Final = 20_000_000
"""A reading that takes longer was interrupted, so that its parts are of different times: it is repeated."""
_ATTEMPTS: Final = 2
_SAME_TIME_S: Final[Seconds] = 0.001


async def watch(
    subjects: Sequence[Subject],
    window: Window,
    *,
    interval: Seconds,
    on_sample: Callable[[Sample], None],
    samples: CompactList[Sample] | None = None,
) -> ObservedFacts:
    """Sample until the measured window ends.

    Samples are taken at ``window.measure_ns + k × interval`` for every integer k from the start of the
    warm-up, and once more at the window's end.

    Args:
        subjects: What to watch; unique names.
        window: The trial's parts on CLOCK_MONOTONIC.
        interval: Seconds between samples, > 0.
        on_sample: Called with each sample at once.
        samples: Where the samples are kept. A watch that is cancelled leaves them there.
    """
    kept = CompactList(Sample) if samples is None else samples

    def keep(sample: Sample) -> None:
        kept.append(sample)
        on_sample(sample)

    notes = await take_samples(subjects, window, interval=interval, on_sample=keep)
    return ObservedFacts(tuple(subjects), tuple(kept), notes)


async def take_samples(
    subjects: Sequence[Subject],
    window: Window,
    *,
    interval: Seconds,
    on_sample: Callable[[Sample], None],
) -> tuple[str, ...]:
    """Do the same without keeping the samples; return what they do not include, as sentences."""
    readers = {subject.name: reader_for(subject) for subject in subjects}
    missing = {name for name, reader in readers.items() if reader is None}
    present = {name: reader for name, reader in readers.items() if reader is not None}
    for beat_ns in beats(window, ns(interval)):
        await sleep_until(beat_ns)
        sample, unread = _sample(present, window)
        missing |= unread
        on_sample(sample)
    unreadable = (f"the counters of {name} could not always be read" for name in sorted(missing))
    return (*unreadable, *_uncounted(present))


def beats(window: Window, interval_ns: Nanoseconds) -> Iterator[Nanoseconds]:
    """Yield when to sample, on CLOCK_MONOTONIC: whole intervals from the window's start, and its end."""
    first = math.ceil((window.start_ns - window.measure_ns) / interval_ns)
    last = math.ceil((window.end_ns - window.measure_ns) / interval_ns)
    for k in range(first, last):
        yield window.measure_ns + k * interval_ns
    yield window.end_ns


def _uncounted(readers: Mapping[str, Reader]) -> Iterator[str]:
    for name, reader in readers.items():
        for phrase in reader.uncounted():
            yield f"the CPU time of {name} does not include {phrase}"


def _sample(readers: Mapping[str, Reader], window: Window) -> tuple[Sample, set[str]]:
    """Read every subject once; also returns the names of those that could not be read."""
    cpu_s: dict[str, Seconds] = {}
    rss_bytes: dict[str, Bytes] = {}
    throttling: dict[str, Throttling] = {}
    read_s: dict[str, Seconds] = {}
    sample_s: Seconds | None = None
    for name, reader in readers.items():
        instant_ns, reading = _read(reader)
        instant_s = round((instant_ns - window.measure_ns) / NS_PER_S, 6)
        sample_s = instant_s if sample_s is None else sample_s
        if instant_s - sample_s > _SAME_TIME_S:
            read_s[name] = instant_s
        if reading.cpu_s is not None and is_in_range(reading.cpu_s):
            cpu_s[name] = reading.cpu_s
        if reading.rss_bytes is not None and is_in_range(reading.rss_bytes):
            rss_bytes[name] = reading.rss_bytes
        if reading.throttling is not None and is_in_range(reading.throttling.waited_s):
            throttling[name] = reading.throttling
    if sample_s is None:
        sample_s = round((time.monotonic_ns() - window.measure_ns) / NS_PER_S, 6)
    return Sample(sample_s, cpu_s, rss_bytes, throttling, read_s), readers.keys() - cpu_s.keys()


def _read(reader: Reader) -> tuple[Nanoseconds, Reading]:
    """Return a reading and when it was taken; it is repeated if it was interrupted."""
    for _ in range(_ATTEMPTS):
        begin_ns = time.monotonic_ns()
        try:
            reading = reader.read()
        except Exception:  # noqa: BLE001  (nothing that is read may end a run)
            reading = Reading(None, None)
        end_ns = time.monotonic_ns()
        if end_ns - begin_ns < _SLOW_NS:
            break
    return (begin_ns + end_ns) // 2, reading
