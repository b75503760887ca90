"""How much CPU quotas throttled the system under test in the measured window."""

from __future__ import annotations

from runner.core.facts import ObservedFacts, Sample, Throttling
from runner.core.results import ThrottlingShare


def throttling_by_subject(observed: ObservedFacts | None) -> dict[str, ThrottlingShare]:
    """Return the throttling of every subject that has a CPU quota, by name."""
    window = [sample for sample in observed.samples if sample.t_s >= 0] if observed else []
    names = dict.fromkeys(name for sample in window for name in sample.throttling)
    return {name: _share(*_ends(window, name)) for name in names}


def _ends(samples: list[Sample], name: str) -> tuple[Throttling, Throttling]:
    readings = [sample.throttling[name] for sample in samples if name in sample.throttling]
    return readings[0], readings[-1]


def _share(first: Throttling, last: Throttling) -> ThrottlingShare:
    return ThrottlingShare(
        periods=last.periods - first.periods,
        throttled=last.throttled - first.throttled,
        waited_s=round(last.waited_s - first.waited_s, 4),
    )
