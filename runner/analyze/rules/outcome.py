"""What became of the requests: all answered, refused, or never sent by us."""

from __future__ import annotations

from typing import Final

from runner.analyze.rules.finding import Evidence, Finding, Judgement, RuledOut, Stage
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
    """The stage achieved its target."""
    achieved, lost = stage["achieved"], errors(stage)
    if achieved is None or lost is None or achieved < ACHIEVED or lost >= TOLERATED_ERRORS:
        return None
    return Finding(
        "within-capacity",
        "proven",
        "the service answered what it was asked",
        (
            Evidence("achieved", achieved * 100, "%", ACHIEVED * 100, _OWN),
            Evidence("failed or dropped", lost * 100, "%", TOLERATED_ERRORS * 100, _OWN),
        ),
        "offer more to find the limit",
    )


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
        "read the service's own log for these requests",
    )
