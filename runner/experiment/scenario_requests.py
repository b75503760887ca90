"""The requests that the steps of scenarios send, each under the name of its step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.experiment.request import NamedRequest, StepKeys

if TYPE_CHECKING:
    from runner.experiment.scenario import Step
    from runner.experiment.traffic import Load


def part_name(scenario: str, step: str) -> str:
    """Return the name under which results of a step are shown: ``checkout/login``."""
    return f"{scenario}/{step}"


def request_of(load: Load, step: Step) -> StepKeys | None:
    """Return the request of a step as it is written; None if it has none, or an unknown name."""
    if isinstance(step.request, str):
        return next((request for request in load.requests if request.name == step.request), None)
    return step.request


def step_requests(load: Load) -> tuple[NamedRequest, ...]:
    """Return the requests of all steps, in order, each complete: with its criteria and redirects."""
    named = (
        _complete(load, part_name(scenario.name, placed.step.step_name), placed.step)
        for scenario in load.scenarios
        for placed in scenario.request_steps()
    )
    return tuple(request for request in named if request)


def _complete(load: Load, name: str, step: Step) -> NamedRequest | None:
    request = request_of(load, step)
    if request is None:
        return None
    fields = {key: getattr(request, key) for key in StepKeys.model_fields}
    follow = request.follow_redirects
    fields |= {
        "name": name,
        "expect": request.expect or load.expect,
        "follow_redirects": load.follow_redirects if follow is None else follow,
    }
    return NamedRequest.model_construct(weight=1.0, **fields)
