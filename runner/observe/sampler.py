"""Reads every subject's cumulative counters on a fixed beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.facts import ObservedFacts, Sample, Subject, Window
from runner.units import Seconds


async def watch(
    subjects: Sequence[Subject],
    window: Window,
    *,
    interval: Seconds,
    on_sample: Callable[[Sample], None],
) -> ObservedFacts:
    """Sample until the measured window ends.

    Samples are taken at ``window.measure_ns + k × interval`` for every whole k from the
    start of the warm-up, and exactly one at the window's end.

    Args:
        subjects: Whom to watch; unique names.
        window: The trial's parts on CLOCK_MONOTONIC.
        interval: Seconds between samples, > 0.
        on_sample: Given each sample at once; all that remains of a cancelled watch.
    """
    raise NotImplementedError
