"""What a stage offered by k6 comes to, and what a reader of its numbers should know (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.facts import LoadFacts, LoadSecond
from runner.core.units import Milliseconds, Seconds
from runner.load.k6.plan import Plan
from runner.load.k6.summary import Totals

FELL_BEHIND: Final = 0.01
"""Share of the planned requests that k6 may fail to come to before the stage is invalid."""

SILENT_S: Final[Seconds] = 2.5
"""Nobody can say what happened while k6, asked once a second, was silent for longer than this."""

_CLOCK: Final = (
    "k6's own, read when its process gets to run: a busy k6 sees answers later than they came; "
    "the window's ends are exact to a millisecond"
)
_ALWAYS: Final = (
    (
        "k6 tells neither when a request was due nor how late it left: response time and dispatch delay "
        "are not known"
    ),
    (
        "duration is k6's http_req_duration, connect its http_req_blocked without TLS (look-up and "
        "connecting), both of good answers only"
    ),
    (
        "counts and latencies of the whole window are exact, from k6's summary; its totals were read once "
        "a second, so the time series counts a request in the second in which it ended"
    ),
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How k6 ended.

    Attributes:
        lost: Why the stage cannot be believed, in a sentence; None when k6 ended well.
        totals: None when k6 left no summary.
        began_late_ms: k6's own start of the schedule minus the window's.
        silence_s: The longest time between two readings of its totals, due once a second.
    """

    lost: str | None
    totals: Totals | None
    began_late_ms: Milliseconds | None
    silence_s: Seconds


def account(plan: Plan, version: str, seconds: Sequence[LoadSecond], ending: Ending) -> LoadFacts:
    """The stage's facts.

    Args:
        plan: What k6 was told.
        version: Of k6, in its own words.
        seconds: Settled when there is a summary, else as far as they were seen.
        ending: How k6 ended.
    """
    totals = ending.totals
    missing = plan.window_arrivals - sum(second.scheduled for second in seconds)
    faults: list[str] = []
    notes = [f"offered by {version}", *_ALWAYS, *_about(plan, ending)]
    if ending.lost:
        faults.append(ending.lost + (_unknown(missing, plan) if missing > 0 else ""))
    else:
        if missing > 0:
            said_in = faults if missing > FELL_BEHIND * plan.window_arrivals else notes
            said_in.append(_behind(missing, plan))
        if ending.silence_s > SILENT_S:
            faults.append(_silent(ending.silence_s, plan))
    return LoadFacts(
        engine="k6",
        workers=1,
        planned=plan.window_arrivals,
        seconds=tuple(seconds),
        complete=ending.lost is None,
        clock=_CLOCK,
        lost_workers=tuple(faults),
        notes=tuple(notes),
        stated_ms={
            "duration": totals.duration if totals else None,
            "connect": totals.connect if totals else None,
            "tls": totals.tls if totals else None,
            "response_time": None,
            "dispatch_delay": None,
        },
    )


def _unknown(missing: int, plan: Plan) -> str:
    return f"; nothing is known of {missing:,} of {plan.window_arrivals:,} planned requests"


def _behind(missing: int, plan: Plan) -> str:
    return (
        f"k6 fell behind: {missing:,} of {plan.window_arrivals:,} planned requests were neither sent nor "
        "dropped before the window ended"
    )


def _silent(silence_s: Seconds, plan: Plan) -> str:
    stood_s = silence_s - 1.0
    return (
        f"k6 stood still or got no CPU for about {stood_s:.0f} s; about {plan.rps * stood_s:,.0f} requests "
        "left late or were dropped"
    )


def _about(plan: Plan, ending: Ending) -> list[str]:
    """What is particular about this stage."""
    notes = []
    if plan.ready_vus < plan.most_vus:
        notes.append(
            f"k6 began with {plan.ready_vus:,} virtual users and could add up to max_in_flight = "
            f"{plan.most_vus:,}; it drops one request for each it adds"
        )
    if ending.began_late_ms is not None:
        notes.append(f"k6 began its schedule {ending.began_late_ms:+.0f} ms from when the witnesses did")
    return notes
