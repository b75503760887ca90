"""How much one user of a scenario does: requests and executed steps (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.units import Seconds
from runner.experiment.scenario import MAX_VISITED, Step, StepKind


def most_executed(steps: Sequence[Step]) -> int:
    """Return how many steps one user executes at most, if lists have a single entry."""
    return sum(_executed(step) for step in steps)


def requests_per_user(steps: Sequence[Step]) -> tuple[int, int]:
    """Return how many requests one user sends, at least and at most, redirects not counted.

    A user whose request fails sends fewer.
    """
    bounds = [_requests(step) for step in steps]
    return sum(fewest for fewest, _ in bounds), sum(most for _, most in bounds)


def shortest_pauses(steps: Sequence[Step]) -> Seconds:
    """Return how long a user waits at least who goes through steps to their end."""
    return sum(_shortest(step) for step in steps)


def _shortest(step: Step) -> Seconds:
    if step.pause is not None:
        return step.pause[0]
    may_be_skipped = step.kind in {StepKind.PROBABILITY, StepKind.FOR_EACH} or (
        step.kind is StepKind.IF and step.otherwise is None
    )
    if may_be_skipped:
        return 0.0
    inside = min((shortest_pauses(inner) for _, inner in step.alternatives()), default=0.0)
    return inside * (1 if step.until else step.repeat or 1)


def _executed(step: Step) -> int:
    inside = [most_executed(inner) for _, inner in step.alternatives()]
    return max(inside) * (step.repeat or 1) if inside else 1


def _requests(step: Step) -> tuple[int, int]:
    inside = [requests_per_user(inner) for _, inner in step.alternatives()]
    fewest, most = min((low for low, _ in inside), default=0), max((high for _, high in inside), default=0)
    match step.kind:
        case StepKind.REQUEST:
            return 1, 1
        case StepKind.REPEAT:
            times = step.repeat or 1
            return fewest * (1 if step.until else times), most * times
        case StepKind.FOR_EACH:
            return 0, most * MAX_VISITED
        case StepKind.PROBABILITY:
            return 0, most
        case StepKind.IF if step.otherwise is None:
            return 0, most
    return fewest, most
