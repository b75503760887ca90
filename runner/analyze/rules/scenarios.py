"""What scenarios show of a limit: the runs that failed, and the step that takes most of their time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from runner.analyze.rules.types import Match
from runner.core.codes import Confidence, Limit
from runner.core.findings import Evidence, Finding
from runner.core.limits import TOLERATED_ERRORS
from runner.core.stage_results import Stage
from runner.core.status_advice import check_request
from runner.core.units import percent

_MOST_FAILED: Final = 0.5
_SHOWN: Final = 8
_STANDS_OUT: Final = 1.5
"""Share of the time that a step takes, divided by what it would be if all took as long; our own bound."""


class SlowestStep(NamedTuple):
    """The step that took most of the time of a scenario.

    Attributes:
        scenario: Name of the scenario.
        step: Name of the step within it.
        share: Its share of the time that the requests of the scenario took, 0 to 1.
        p95_ms: Its p95 duration; None without a finite one.
        is_frequent: Whether it takes that time merely because it is requested more often than others.
    """

    scenario: str
    step: str
    share: float
    p95_ms: float | None
    is_frequent: bool = False


def slowest_step(stage: Stage) -> SlowestStep | None:
    """Return the step that takes clearly more of its scenario's time than the others; None without one.

    Of several scenarios, the step of the one whose requests took longest together.
    """
    found: list[tuple[float, SlowestStep]] = []
    for name in stage.scenario_parts:
        steps = stage.steps_of(name)
        known = {path: part.time_share for path, part in steps.items() if part.time_share is not None}
        slowest = max(known, key=lambda path: known[path], default="")
        if len(known) < 2 or known[slowest] * len(known) < _STANDS_OUT:
            continue
        part = steps[slowest]
        took_ms = (part.duration_ms.mean or 0.0) * part.requests.succeeded
        requests = sum(steps[path].requests.succeeded for path in known)
        is_frequent = known[slowest] * requests < _STANDS_OUT * part.requests.succeeded
        short = slowest.removeprefix(f"{name}/")
        step = SlowestStep(name, short, known[slowest], part.duration_ms.p95, is_frequent)
        found.append((took_ms, step))
    return max(found)[1] if found else None


def step_evidence(stage: Stage) -> tuple[Evidence, ...]:
    """Return the share of a scenario's time that its slowest step took; nothing where none stands out.

    A step that is fast and merely frequent is no hint of what limits a stage.
    """
    slowest = slowest_step(stage)
    if slowest is None or slowest.is_frequent:
        return ()
    name = f"share of {slowest.scenario}/{slowest.step} in the time of all requests of {slowest.scenario}"
    return (Evidence(name, slowest.share * 100, "%"),)


def step_phrase(stage: Stage) -> str:
    """Return the same as the end of a sentence; empty where no step stands out."""
    slowest = slowest_step(stage)
    if slowest is None or slowest.is_frequent:
        return ""
    return f"; {slowest.step} took {percent(slowest.share)} of the time of {slowest.scenario}'s requests"


def failed_scenarios(stage: Stage, refused: Collection[str]) -> Match | None:
    """Return the finding for users who could not complete because a step failed; None if hardly any.

    A scenario of many requests fails often although few of its requests do.

    Args:
        stage: With or without scenarios.
        refused: Failure kinds that the service is responsible for.
    """
    runs = stage.scenarios
    if runs is None or not runs.scheduled:
        return None
    failures = {kind: count for kind, count in runs.failures.items() if kind in refused and count}
    total = sum(failures.values())
    if total < TOLERATED_ERRORS * runs.scheduled:
        return None
    worst = max(failures, key=lambda kind: failures[kind])
    steps = {path: part.requests.failures.get(worst, 0) for path, part in stage.request_parts.items()}
    step = max(steps, key=lambda path: steps[path], default="")
    summary = (
        f"{total:,} of {runs.scheduled:,} scenarios failed because a request was refused or got an invalid "
        f"response, most often {worst} at {step}"
    )
    confidence = Confidence.PROVEN if total >= _MOST_FAILED * runs.scheduled else Confidence.LIKELY
    lost = sorted(filter(steps.__getitem__, steps), key=lambda path: -steps[path])[:_SHOWN]
    evidence = (
        *(Evidence(f"scenarios with {kind}", count, "scenarios") for kind, count in sorted(failures.items())),
        *(Evidence(f"step {path}", steps[path], "scenarios") for path in lost),
    )
    advice = f"{check_request(step, worst)}, then read the service's log for these requests"
    return Match(Finding(Limit.ERROR, confidence, summary, evidence, advice))
