"""What CPU quotas cost the system under test in the measured window."""

from __future__ import annotations

from typing import Any

from runner.core.facts import ObservedFacts, Sample, Throttling


def throttled(observed: ObservedFacts | None) -> dict[str, dict[str, Any]]:
    """Subject's name to its periods, those in which it was throttled, and how long it waited.

    Subjects without a CPU quota are absent.
    """
    inside = [sample for sample in observed.samples if sample.t_s >= 0] if observed else []
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for sample in inside for name in sample.throttling):
        first, last = _ends(inside, name)
        found[name] = {
            "periods": last.periods - first.periods,
            "throttled": last.throttled - first.throttled,
            "waited_s": round(last.waited_s - first.waited_s, 4),
        }
    return found


def _ends(samples: list[Sample], name: str) -> tuple[Throttling, Throttling]:
    seen = [sample.throttling[name] for sample in samples if name in sample.throttling]
    return seen[0], seen[-1]
