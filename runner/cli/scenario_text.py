"""The scenarios of a load, step by step, as lines of text (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runner.experiment.condition import ConditionRules
from runner.experiment.quantities import format_time
from runner.experiment.scenario import StepKind
from runner.experiment.scenario_counts import requests_per_user
from runner.experiment.suggestions import display

if TYPE_CHECKING:
    from runner.experiment.request import NamedRequest
    from runner.experiment.scenario import Scenario, Step
    from runner.experiment.traffic import Load

_INDENT: Final = "  "


def scenario_lines(load: Load, describe: Callable[[NamedRequest], str]) -> Iterator[str]:
    """Yield what the users of each scenario do, one line for each step.

    Args:
        load: With scenarios.
        describe: Returns the line of a request and its checks.
    """
    requests = {part.name: describe(part) + _redirects(part) for part in load.parts}
    for scenario in load.scenarios:
        share = f"{100 * load.scenario_shares[scenario.name]:.3g} % of the users"
        yield f"{scenario.name}: {share}, {_count(scenario)} each"
        own = {name.partition("/")[2]: line for name, line in requests.items() if _of(name, scenario)}
        for line in _lines(scenario.steps, own):
            yield _INDENT + line


def _of(name: str, scenario: Scenario) -> bool:
    return name.startswith(f"{scenario.name}/")


def _redirects(part: NamedRequest) -> str:
    count = part.follow_redirects
    return f"; follows up to {count} redirect{'s'[: count != 1]}" if count else ""


def _count(scenario: Scenario) -> str:
    fewest, most = requests_per_user(scenario.steps)
    if fewest == most:
        return f"{most:,} request{'s'[: most != 1]}"
    return f"{fewest:,} to {most:,} requests"


def _lines(steps: Sequence[Step], requests: Mapping[str, str]) -> Iterator[str]:
    for step in steps:
        yield _title(step, requests)
        for at, inner in step.alternatives():
            if at[0] == "else":
                yield "otherwise:"
            if at[0] == "choose" and step.choose:
                weight = step.choose[int(at[1])].weight
                yield f"{_INDENT}{100 * weight / sum(one.weight for one in step.choose):.3g} %:"
            deeper = 1 + (at[0] == "choose")
            yield from (deeper * _INDENT + line for line in _lines(inner, requests))


def _title(step: Step, requests: Mapping[str, str]) -> str:
    match step.kind:
        case StepKind.REQUEST:
            taken = f"; extracts {', '.join(step.extract)}" if step.extract else ""
            return f"{step.step_name}: {requests[step.step_name]}{taken}"
        case StepKind.PAUSE:
            shortest, longest = map(format_time, step.pause or (0.0, 0.0))
            return f"pause of {shortest}" if shortest == longest else f"pause of {shortest} to {longest}"
    return f"{_around(step)}:"


def _around(step: Step) -> str:
    """Return when, or how often, the user goes through the steps inside a step."""
    match step.kind:
        case StepKind.REPEAT:
            times = f"{step.repeat:,} time{'s'[: step.repeat != 1]}"
            return f"up to {times}, until {_conditions(step.until)}" if step.until else times
        case StepKind.PROBABILITY:
            return f"with a probability of {100 * (step.probability or 0):.3g} %"
        case StepKind.CHOOSE:
            return "one of"
        case StepKind.FOR_EACH:
            return f"for each entry of {step.for_each}, as {step.item}"
    return f"if {_conditions(step.condition or {})}"


def _conditions(conditions: Mapping[str, Any]) -> str:
    return " and ".join(_condition(name, one) for name, one in conditions.items())


def _condition(name: str, condition: Any) -> str:
    if not isinstance(condition, ConditionRules):
        values = condition if isinstance(condition, list | tuple) else (condition,)
        return f"{name} is {' or '.join(display(value) for value in values)}"
    if condition.exists is False:
        return f"{name} has no value"
    rules = [
        *([f"is at least {condition.min:g}"] if condition.min is not None else []),
        *([f"is at most {condition.max:g}"] if condition.max is not None else []),
        *([f"matches {condition.matches}"] if condition.matches is not None else []),
    ]
    return f"{name} {' and '.join(rules) or 'has a value'}"
