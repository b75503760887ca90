"""Garbage collection beside a limit of the app: it is suspected first, and here is how much it took."""

from __future__ import annotations

from runner.analyze.kernel_counters import counters
from runner.analyze.rules.types import Evidence, Stage


def collecting(stage: Stage) -> tuple[Evidence, ...]:
    """The part of the time that each replica's collector took, where it tells. No authority has a bound."""
    return tuple(
        Evidence(
            f"garbage collection in {each['scope']}",
            round(each["delta"] / stage["window_s"] * 100, 2),
            "% of the time",
            before=each["before"],
            after=each["after"],
        )
        for each in counters(stage, "app.gc_s")
        if stage.get("window_s")
    )
