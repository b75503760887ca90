"""Garbage collection as evidence for a limit of the app: it is often suspected, so its share is shown."""

from __future__ import annotations

from runner.analyze.kernel_counters import counters
from runner.core.results import Evidence, Stage


def gc_evidence(stage: Stage) -> tuple[Evidence, ...]:
    """Return each replica's share of time in garbage collection, if it is known. There is no threshold."""
    return tuple(
        Evidence(
            f"garbage collection in {counter.scope}",
            round((counter.delta or 0.0) / stage.window_s * 100, 2),
            "% of the time",
            before=counter.before,
            after=counter.after,
        )
        for counter in counters(stage, "app.gc_s")
    )
