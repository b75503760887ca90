"""Whether the load's own bound, ``max_in_flight``, kept requests or users from beginning."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from runner.core.findings import Evidence, Finding
from runner.core.stage_results import Stage

_REACHED: Final = 0.95
"""Share of the bound from which a level counts as at it: several workers share the bound."""
_MOST_SECONDS: Final = 0.5
"""Share of the window's seconds from which the bound kept the stage from its target; our own bound."""
_MARGIN: Final = 1.5


class Full(NamedTuple):
    """A bound that was reached.

    Attributes:
        most: The bound.
        who: What it counts, in words.
        seconds: In how many seconds of the window it was reached.
        of: Of how many.
        needed: How many the target needs under way at a time, by Little's law; None where that is not known.
    """

    most: int
    who: str
    seconds: int
    of: int
    needed: float | None

    @property
    def evidence(self) -> Evidence:
        """In how many seconds it was reached."""
        return Evidence(f"seconds at max_in_flight ({self.most:,})", self.seconds, "s", None, "")

    @property
    def advice(self) -> str:
        """Return how to find out whether the bound is the limit."""
        least = "" if self.needed is None else f" to at least {_rounded_up(self.needed):,}"
        return (
            f"raise load.max_in_flight{least}: if the throughput grows with it, the bound was the limit; if "
            "only response times grow, the service is"
        )

    @property
    def summary(self) -> str:
        """Return what happened, as the end of a sentence."""
        return (
            f"load.max_in_flight allows {self.most:,} {self.who} at a time, which was reached in "
            f"{self.seconds} of {self.of} seconds"
        )


def full(stage: Stage, most: int) -> Full | None:
    """Return the bound if it was reached for most of the window; None in the closed model, and else.

    Args:
        stage: What was measured.
        most: The load's ``max_in_flight``.
    """
    if stage.users is not None:
        return None
    window = [second for second in stage.timeseries if 0 < second.t_s <= stage.window_s]
    levels = [second.users if isinstance(second.users, int) else second.in_flight for second in window]
    reached = sum(level >= _REACHED * most - 1 for level in levels)  # one may have ended just now
    if not levels or reached < _MOST_SECONDS * len(levels):
        return None
    who = "users" if stage.scenarios else "requests"
    return Full(most, who, reached, len(levels), _needed(stage))


def _needed(stage: Stage) -> float | None:
    """Return how many are under way at the target if they take as long as now."""
    took = stage.scenario_duration_ms if stage.scenarios else stage.duration_ms
    return None if took.mean is None or not stage.rate else stage.rate * took.mean / 1000


def _rounded_up(needed: float) -> int:
    """Return a number with two digits that leaves some room."""
    digits = len(str(int(needed * _MARGIN))) - 2
    step = 10 ** max(digits, 0)
    return int(-(-needed * _MARGIN // step) * step)


def with_bound(finding: Finding, bound: Full) -> Finding:
    """Return a finding about requests that wait, with the bound as what may keep more of them from coming."""
    return replace(
        finding,
        summary=f"{finding.summary}; {bound.summary}",
        evidence=(*finding.evidence, bound.evidence),
        advice=f"{finding.advice}; or {bound.advice}",
    )
