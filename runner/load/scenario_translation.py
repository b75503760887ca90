"""Translates the scenarios of a specification into those of a worker's order."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runner.core import draws
from runner.core.errors import EnvironmentLacks
from runner.core.units import NS_PER_S
from runner.experiment.condition import Condition as WrittenCondition
from runner.experiment.condition import ConditionRules
from runner.experiment.request import NamedRequest
from runner.experiment.scenario import Scenario, Step, StepKind
from runner.experiment.step_extraction import Pick, StepExtraction
from runner.experiment.traffic import Load
from runner.experiment.yaml.scalars import written
from runner.load.engine import LoadOrder
from runner.load.scenario_order import (
    AllowedHost,
    ChooseStep,
    Condition,
    ExtractOrder,
    ForEachStep,
    IfStep,
    PauseStep,
    ProbabilityStep,
    RepeatStep,
    RequestStep,
    ScenarioOrder,
    WorkerScenario,
    WorkerStep,
)

_Path = tuple[str | int, ...]
_COOKIE: Final = "cookie"


def scenario_order(order: LoadOrder) -> ScenarioOrder | None:
    """Return what users do; None without scenarios.

    Raises:
        EnvironmentLacks: An allowed host has no address.
    """
    load, endpoint = order.load, order.endpoint
    if not load.scenarios:
        return None
    parts = iter(enumerate(load.parts))
    return ScenarioOrder(
        scenarios=tuple(_Translation(load, scenario, parts).scenario() for scenario in load.scenarios),
        scheme=endpoint.scheme,
        host=endpoint.host.lower(),
        port=endpoint.port,
        hosts=tuple(map(_allowed_host, load.hosts_to_follow)),
        per_user=load.connection == "per-user",
        per_request=tuple(name for name, variable in load.variables.items() if variable.is_per_request),
        first=order.numbering.arrivals,
    )


def _allowed_host(host: str) -> AllowedHost:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise EnvironmentLacks(
            f"the host name {host!r} in load.allow_hosts has no address: {error.strerror}",
            hint="correct or remove it",
        ) from None
    return AllowedHost(host.lower(), int(family), str(address[0]))


class _Translation:
    """Translates one scenario.

    Args:
        load: With the scenario.
        scenario: To translate.
        parts: The requests of the load that are left, each with its index; those of the scenario are taken.
    """

    def __init__(self, load: Load, scenario: Scenario, parts: Iterator[tuple[int, NamedRequest]]) -> None:
        self._seed, self._scenario, self._parts = load.seed, scenario, parts
        self._texts = _texts(scenario)

    def scenario(self) -> WorkerScenario:
        """Return the scenario."""
        steps = self._steps(self._scenario.steps, ("scenarios", self._scenario.name))
        return WorkerScenario(self._scenario.name, self._scenario.weight, steps)

    def _steps(self, steps: Sequence[Step], at: _Path) -> tuple[WorkerStep, ...]:
        return tuple(self._step(step, (*at, index)) for index, step in enumerate(steps))

    def _step(self, step: Step, at: _Path) -> WorkerStep:
        if step.kind is StepKind.REQUEST:
            return self._request(step, at)
        if step.kind is StepKind.PAUSE:
            low, high = step.pause or (0.0, 0.0)
            return PauseStep(self._key(at), round(low * NS_PER_S), round(high * NS_PER_S))
        return self._nested(step, self._steps(step.steps or (), (*at, "steps")), at)

    def _nested(self, step: Step, inner: tuple[WorkerStep, ...], at: _Path) -> WorkerStep:
        match step.kind:
            case StepKind.REPEAT:
                return RepeatStep(step.repeat or 1, inner, self._conditions(step.until))
            case StepKind.PROBABILITY:
                return ProbabilityStep(self._key(at), step.probability or 0.0, inner)
            case StepKind.CHOOSE:
                return self._choice(step, at)
            case StepKind.FOR_EACH:
                return ForEachStep(step.for_each or "", step.item or "", inner)
            case _:
                otherwise = self._steps(step.otherwise or (), (*at, "else"))
                return IfStep(self._conditions(step.condition), inner, otherwise)

    def _request(self, step: Step, at: _Path) -> RequestStep:
        index, part = next(self._parts)
        extracts = (step.extract or {}).items()
        return RequestStep(
            name=step.step_name,
            request=index,
            extracts=tuple(self._extract(name, source, (*at, name)) for name, source in extracts),
            follow=part.follow_redirects or 0,
            own_cookies=any(name.lower() == _COOKIE for name in part.headers),
            url=bool(part.url),
        )

    def _choice(self, step: Step, at: _Path) -> ChooseStep:
        branches = step.choose or ()
        return ChooseStep(
            self._key(at),
            tuple(float(branch.weight) for branch in branches),
            tuple(self._steps(branch.steps, (*at, index)) for index, branch in enumerate(branches)),
        )

    def _extract(self, name: str, source: StepExtraction, at: _Path) -> ExtractOrder:
        pick = source.pick or Pick.FIRST
        return ExtractOrder(
            name,
            json=source.json_path or "",
            header=(source.header or "").lower(),
            cookie=source.cookie or "",
            regex=source.regex or "",
            pick=pick.value,
            entries=source.pick is not None and source.json_path is not None,
            key=self._key(at) if pick is Pick.RANDOM else 0,
            optional=bool(source.optional),
            default=() if source.default is None else (source.default,),
        )

    def _conditions(self, conditions: Mapping[str, WrittenCondition] | None) -> tuple[Condition, ...]:
        return tuple(self._condition(name, condition) for name, condition in (conditions or {}).items())

    def _condition(self, name: str, condition: WrittenCondition) -> Condition:
        if isinstance(condition, ConditionRules):
            return Condition(
                name,
                min=condition.min,
                max=condition.max,
                matches=condition.matches or "",
                exists=condition.exists is not False,
            )
        values: Sequence[Any] = condition if isinstance(condition, list | tuple) else (condition,)
        as_text = name in self._texts
        values = [written(value) if as_text else _plain(value) for value in values]
        return Condition(name, values=tuple(values), as_text=as_text)

    def _key(self, at: _Path) -> int:
        """Return the key of a step's random numbers."""
        return draws.key(self._seed, "/".join(map(str, at)))


def _plain(value: Any) -> Any:
    """Return a number without its spelling."""
    return float(value) if isinstance(value, float) else value


def _texts(scenario: Scenario) -> frozenset[str]:
    """Return the names of the values that are text, because they do not come from JSON."""
    steps = [placed.step for placed in scenario.placed_steps()]
    extracts = [(name, source) for step in steps for name, source in (step.extract or {}).items()]
    in_json = {name for name, source in extracts if source.json_path is not None}
    texts = {name for name, _ in extracts} - in_json
    return frozenset(texts | {step.item or "" for step in steps if step.for_each in texts})
