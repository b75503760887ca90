"""How many requests per second a stage is expected to send: decides how many workers are started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from runner.core.units import PerSecond
from runner.experiment.stage import Stage
from runner.experiment.traffic import Load

if TYPE_CHECKING:
    from runner.experiment.scenario import Step

_VISITED: Final = 10
"""How many entries a list is taken to have."""


def expected_rate(load: Load, stage: Stage) -> PerSecond:
    """Return the requests per second of a stage with a rate, at its highest rate.

    That of scenarios is an estimate: redirects, entries of lists and conditions depend on the responses.
    """
    if not load.scenarios:
        return stage.highest_rps
    return stage.highest_user_rate * mean_requests(load)


def mean_requests(load: Load) -> float:
    """Return how many requests a user of a load's scenarios is expected to send."""
    shares = load.scenario_shares
    return sum(shares[scenario.name] * _mean(scenario.steps) for scenario in load.scenarios)


def _mean(steps: Sequence[Step]) -> float:
    return sum(_of_step(step) for step in steps)


def _of_step(step: Step) -> float:
    from runner.experiment.scenario import StepKind  # noqa: PLC0415  (only loads with scenarios have steps)

    inside = _mean(step.steps or ())
    match step.kind:
        case StepKind.REQUEST | StepKind.PAUSE:
            return float(step.kind is StepKind.REQUEST)
        case StepKind.REPEAT:
            return (step.repeat or 1) * inside
        case StepKind.PROBABILITY:
            return (step.probability or 0.0) * inside
        case StepKind.CHOOSE:
            branches = step.choose or ()
            total = sum(branch.weight for branch in branches)
            return sum(branch.weight / total * _mean(branch.steps) for branch in branches)
        case StepKind.FOR_EACH:
            return _VISITED * inside
        case StepKind.IF:
            return max(inside, _mean(step.otherwise or ()))
