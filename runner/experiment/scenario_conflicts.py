"""What is wrong with the scenarios of a load, beyond each of their steps alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.scenario import (
    MAX_DEPTH,
    MAX_EXECUTED,
    MAX_STEPS,
    PlacedStep,
    Scenario,
    StepRequest,
)
from runner.experiment.scenario_counts import most_executed
from runner.experiment.scenario_requests import request_of
from runner.experiment.scenario_values import value_conflicts
from runner.experiment.suggestions import did_you_mean, join_words
from runner.experiment.variables import long_orders

if TYPE_CHECKING:
    from runner.experiment.traffic import Load


def conflicts(load: Load) -> Iterator[Conflict | None]:
    """Yield what is wrong with the scenarios of a load, each with the way from the load down to it."""
    yield from _engine_conflicts(load)
    yield from _library_conflicts(load)
    names = [scenario.name for scenario in load.scenarios]
    for index, scenario in enumerate(load.scenarios):
        at = ("scenarios", index)
        first = names.index(scenario.name)
        message = f"the name '{scenario.name}' is already used by scenarios[{first}]"
        yield conflict_if(first < index, (*at, "name"), message)
        limits = list(_limits(scenario))
        values = () if limits else value_conflicts(load, scenario)
        for conflict in (*limits, *_steps(load, scenario), *values):
            yield Conflict((*at, *conflict.at), conflict.message, conflict.hint)
    yield from long_orders(load.variables, [scenario.weight for scenario in load.scenarios])


def _engine_conflicts(load: Load) -> Iterator[Conflict | None]:
    message = "engine k6 cannot run scenarios"
    hint = "use engine builtin, or write the scenario as a k6 script and run it with k6"
    yield conflict_if(load.engine == "k6", ("engine",), message, hint)
    message = "cross_check cannot be combined with scenarios, because engine k6 cannot run them"
    yield conflict_if(load.cross_check, ("cross_check",), message, "remove it")


def _library_conflicts(load: Load) -> Iterator[Conflict | None]:
    """Yield what is wrong with the requests that steps refer to by name."""
    for index, request in enumerate(load.requests):
        at = ("requests", index)
        message = "has no effect beside scenarios: steps decide how often the request is sent"
        yield conflict_if(request.weight != 1, (*at, "weight"), message, "remove it")
        for conflict in request.expect.conflicts_with(request.method) if request.expect else ():
            yield Conflict((*at, "expect", *conflict.at), conflict.message)


def _limits(scenario: Scenario) -> Iterator[Conflict]:
    placed = list(scenario.placed_steps())
    if len(placed) > MAX_STEPS:
        message = f"should have at most {MAX_STEPS} steps, those inside others included, not {len(placed):,}"
        yield Conflict(("steps",), message, "split it into several scenarios")
    deep = next((one for one in placed if one.depth > MAX_DEPTH), None)
    if deep:
        yield Conflict(deep.at, f"is nested deeper than {MAX_DEPTH} levels of steps")
    executed = most_executed(scenario.steps)
    if executed > MAX_EXECUTED:
        message = f"one user executes up to {executed:,} steps, but at most {MAX_EXECUTED:,} are possible"
        yield Conflict(("steps",), message, "repeat less")


def _steps(load: Load, scenario: Scenario) -> Iterator[Conflict]:
    requests = list(scenario.request_steps())
    if not requests:
        yield Conflict(
            ("steps",), "should send at least one request", "such as - request: {name: home, path: /}"
        )
    names = [placed.step.step_name for placed in requests]
    for number, placed in enumerate(requests):
        if names[number] in names[:number]:
            yield _second(placed, names[number])
        if isinstance(placed.step.request, str) and request_of(load, placed.step) is None:
            yield _unknown_request(load, placed, placed.step.request)
            continue
        for conflict in _impossible(load, placed):
            yield Conflict((*placed.at, *conflict.at), conflict.message, conflict.hint)


def _second(placed: PlacedStep, name: str) -> Conflict:
    message = f"the step name '{name}' is already used in this scenario"
    if isinstance(placed.step.request, StepRequest):
        return Conflict((*placed.at, "request", "name"), message, "give each step a name of its own")
    key = "name" if placed.step.name else "request"
    return Conflict((*placed.at, key), message, f"add a name beside request, such as name: {name[:40]}-again")


def _unknown_request(load: Load, placed: PlacedStep, name: str) -> Conflict:
    known = [request.name for request in load.requests]
    at = (*placed.at, "request")
    if not known:
        hint = f"write the request out, such as request: {{name: {name}, path: /}}"
        return Conflict(at, f"there is no request '{name}', because load has no requests", hint)
    hint = did_you_mean(name, known) or f"requests are {join_words(known, 'and')}"
    return Conflict(at, f"there is no request '{name}' in load.requests", hint)


def _impossible(load: Load, placed: PlacedStep) -> Iterator[Conflict]:
    """Yield what the response to the request of a step cannot have."""
    request = request_of(load, placed.step)
    if request is None or request.method != "HEAD":
        return
    if request.expect is None:
        for conflict in load.expect.conflicts_with("HEAD"):
            hint = f"give the request an expect of its own: load.expect checks {conflict.at[0]}"
            yield Conflict(("request",), conflict.message, hint)
    for name, extraction in (placed.step.extract or {}).items():
        if extraction.needs_body:
            yield Conflict(("extract", name), "a response to HEAD has no body")
