"""What became of the requests: all answered, refused, or never sent by us."""

from __future__ import annotations

import math
import statistics
from typing import Final

from runner.analyze.rules.types import Evidence, Finding, Judgement, RuledOut, Stage
from runner.analyze.thresholds import errors

ACHIEVED: Final = 0.99
TOLERATED_ERRORS: Final = 0.01
_REFUSED: Final = frozenset(
    {"bad_status", "bad_body", "protocol", "closed_early", "connect_refused", "reset"}
)
_OWN: Final = "Loadproof's own bound"


def generator(stage: Stage) -> Finding:
    """Of a stage that is invalid through our own fault."""
    usage = stage["cpu_cores"].get("generator")
    return Finding(
        "generator-limited",
        "proven",
        "the load generator could not send its schedule, so the stage says nothing about the service",
        (Evidence("generator CPU", usage["avg"], "cores"),) if usage else (),
        "give the generator more cores, workers, ports or files, then run the stage again",
    )


def within(stage: Stage) -> Finding | None:
    """The stage achieved its target, or would have but for the answers still under way at its end."""
    achieved, lost = stage["achieved"], errors(stage)
    if achieved is None or lost is None or lost >= TOLERATED_ERRORS:
        return None
    kept_up = None if achieved >= ACHIEVED else _kept_up(stage)
    if achieved < ACHIEVED and kept_up is None:
        return None
    evidence = [
        Evidence("achieved", achieved * 100, "%", ACHIEVED * 100, _OWN),
        Evidence("failed or dropped", lost * 100, "%", TOLERATED_ERRORS * 100, _OWN),
    ]
    if kept_up is not None:
        evidence[0] = Evidence(
            "achieved once answers could be back", kept_up * 100, "%", ACHIEVED * 100, _OWN
        )
    return Finding(
        "within-capacity",
        "proven",
        "the service answered what it was asked"
        + ("" if kept_up is None else "; what is missing was still under way when the window ended"),
        tuple(evidence),
        "offer more to find the limit",
    )


def _kept_up(stage: Stage) -> float | None:
    """What was achieved in the seconds whose requests had time to be answered; None where it fell short.

    A stage without a warm-up begins with nothing under way and ends with as much as Little's law has, so
    a slow but healthy service misses that part of its target. One that is overloaded misses every second.
    """
    slowest_ms = (stage.get("response_time_ms") or {}).get("max")
    if slowest_ms is None or not stage["achieved"] or stage.get("warmup_s", 0.0) * 1000 >= slowest_ms:
        return None
    window = [each for each in stage["timeseries"] if each["t_s"] > 0]
    rates = [each["rps"] for each in window if each["t_s"] > math.ceil(slowest_ms / 1000)]
    if len(rates) < max(1, len(window) // 2):
        return None
    kept: float = statistics.fmean(rates) / stage["target_rps"]
    return kept if kept >= ACHIEVED else None


def refused(stage: Stage, cores: int | None) -> Judgement:
    """Answers that are no good, and connections that were turned away."""
    del cores
    failures = {kind: n for kind, n in stage["requests"]["failures"].items() if kind in _REFUSED and n}
    scheduled, total = stage["requests"]["scheduled"], sum(failures.values())
    if not scheduled:
        return None
    if total < TOLERATED_ERRORS * scheduled:
        return RuledOut(
            "error-limited", f"{total:,} of {scheduled:,} requests were refused or answered wrongly"
        )
    worst = max(failures, key=lambda kind: failures[kind])
    return Finding(
        "error-limited",
        "proven" if total >= 0.5 * scheduled else "likely",
        f"{total:,} of {scheduled:,} requests were refused or answered wrongly, most of them as {worst}",
        tuple(Evidence(kind, count, "requests") for kind, count in sorted(failures.items())),
        "check load.request and load.expect, then read the service's own log of these requests",
    )
