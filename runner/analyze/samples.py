"""Which responses that did not succeed are shown."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.load_facts import LoadSecond, ResponseSample


def shown_samples(seconds: Sequence[LoadSecond]) -> tuple[ResponseSample, ...]:
    """Return the first sample of each failure and status; several workers may each have one."""
    samples: dict[tuple[str, int], ResponseSample] = {}
    for sample in (sample for second in seconds for sample in second.samples):
        status = sample.status if sample.failure == "bad_status" else 0
        samples.setdefault((sample.failure, status), sample)
    return tuple(samples[key].excerpt() for key in sorted(samples))
