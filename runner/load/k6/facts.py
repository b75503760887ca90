"""The facts of a stage offered by k6, with notes for readers of its numbers (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.load_facts import DropCauses, LoadFacts, LoadSecond, PartFacts
from runner.core.units import Milliseconds, Seconds
from runner.load.k6.plan import Plan
from runner.load.k6.summary import Latencies, Totals

FELL_BEHIND: Final = 0.01
"""Share of the planned requests that k6 may leave out before the stage is invalid."""

SILENT_S: Final[Seconds] = 2.5
"""The longest time without a response from k6, which is polled once a second, in a valid stage."""

_CLOCK: Final = (
    "k6's own, read when its process runs: a busy k6 sees responses later than they arrived; "
    "the window's bounds are exact to a millisecond"
)
_ALWAYS: Final = (
    (
        "k6 reports neither when a request was due nor how late it was sent: response time and dispatch "
        "delay are unknown"
    ),
    (
        "duration is k6's http_req_duration and connect its http_req_blocked without TLS (look-up and "
        "connecting), both of successful responses only"
    ),
    (
        "counts and latencies of the whole window are exact, from k6's summary; the time series is read from "
        "its totals once a second and counts a request in the second in which it ended"
    ),
)


_MIX: Final = (
    "counts and latencies of each request are exact for the whole window; k6 reports no request by second, "
    "so each second shows the request's share of it"
)


_RAMP: Final = (
    "k6 reports no latency by second, so latencies, and thresholds on them, are those of the whole ramp; "
    "engine builtin has them in each slice"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How k6 ended.

    Attributes:
        lost: Why the stage is invalid, in a sentence; None if k6 ended normally.
        totals: None if k6 left no summary.
        began_late_ms: k6's own start of the schedule minus the window's.
        silence_s: The longest time between two readings of its totals, due once a second.
    """

    lost: str | None
    totals: Totals | None
    began_late_ms: Milliseconds | None
    silence_s: Seconds


def load_facts(plan: Plan, version: str, seconds: Sequence[LoadSecond], ending: Ending) -> LoadFacts:
    """Return the stage's facts.

    Args:
        plan: k6's orders.
        version: Of k6.
        seconds: Corrected if there is a summary, else as far as they were read.
        ending: How k6 ended.
    """
    totals = ending.totals
    missing = plan.window_arrivals - sum(second.scheduled for second in seconds)
    faults: list[str] = []
    notes = [f"k6 {version} generated the load", *_ALWAYS, *_notes(plan, ending)]
    if ending.lost:
        faults.append(ending.lost + (_unknown(missing, plan) if missing > 0 else ""))
    else:
        if missing > 0:
            sentences = faults if missing > FELL_BEHIND * plan.window_arrivals else notes
            sentences.append(_behind(missing, plan))
        if ending.silence_s > SILENT_S:
            faults.append(_silent(ending.silence_s, plan))
    adding = _dropped_while_adding(plan, totals)
    if adding > FELL_BEHIND * plan.window_arrivals:
        faults.append(_adding(adding, plan))
    return LoadFacts(
        drops=DropCauses(no_virtual_user=adding),
        engine="k6",
        engine_version=version,
        workers=1,
        planned=plan.window_arrivals,
        seconds=tuple(seconds),
        complete=ending.lost is None,
        clock=_CLOCK,
        lost_workers=tuple(faults),
        notes=tuple(notes),
        stated_ms=_stated(totals),
        parts={name: _part(name, plan, totals) for name in plan.mix.names},
    )


def _dropped_while_adding(plan: Plan, totals: Totals | None) -> int:
    """Return how many requests k6 dropped before it had as many virtual users as it may have."""
    return totals.dropped if totals and totals.virtual_users < plan.max_vus else 0


def _part(name: str, plan: Plan, totals: Totals | None) -> PartFacts:
    own = totals.parts.get(name) if totals else None
    return PartFacts(plan.planned_by_request[name], plan.mix.share(name), stated_ms=_stated(own))


def _stated(totals: Totals | None) -> dict[str, Latencies | None]:
    return {
        "duration": totals.duration if totals else None,
        "connect": totals.connect if totals else None,
        "tls": totals.tls if totals else None,
        "response_time": None,
        "dispatch_delay": None,
    }


def _unknown(missing: int, plan: Plan) -> str:
    return f"; nothing is known about {missing:,} of {plan.window_arrivals:,} planned requests"


def _behind(missing: int, plan: Plan) -> str:
    return (
        f"k6 fell behind: {missing:,} of {plan.window_arrivals:,} planned requests were neither sent nor "
        "dropped before the window ended"
    )


def _adding(dropped: int, plan: Plan) -> str:
    return (
        f"k6 dropped {dropped:,} of {plan.window_arrivals:,} planned requests because it was still adding "
        "virtual users"
    )


def _silent(silence_s: Seconds, plan: Plan) -> str:
    stall_s = silence_s - 1.0
    if plan.users is not None:
        return f"k6 was stopped or got no CPU for about {stall_s:.0f} s, in which its users sent nothing"
    return (
        f"k6 was stopped or got no CPU for about {stall_s:.0f} s; about {plan.rps * stall_s:,.0f} requests "
        "were sent late or dropped"
    )


def _notes(plan: Plan, ending: Ending) -> list[str]:
    """Return notes on this stage."""
    notes = []
    if plan.mix.names:
        notes.append(_MIX)
    if plan.level_ramp:
        notes.append(_RAMP)
    if plan.ready_vus < plan.max_vus:
        notes.append(
            f"k6 began with {plan.ready_vus:,} virtual users and could add up to max_in_flight = "
            f"{plan.max_vus:,}; it drops one request for each user it adds"
        )
    if ending.began_late_ms is not None:
        notes.append(f"k6 began its schedule {ending.began_late_ms:+.0f} ms from the announced start")
    return notes
