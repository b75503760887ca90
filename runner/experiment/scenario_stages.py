"""Which stages and names a configuration with scenarios can have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.find import FindStage
from runner.experiment.quantities import format_time
from runner.experiment.scenario_counts import shortest_pauses
from runner.experiment.scenario_requests import request_of
from runner.experiment.scenario_values import new_names
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.url import host_of, literal, plain_host

if TYPE_CHECKING:
    from runner.experiment.model import Configuration, Experiment
    from runner.experiment.stage import Stage
    from runner.experiment.thresholds import Threshold
    from runner.experiment.traffic import Load

_SHOWN: Final = 20
_AUTHORITY: Final = re.compile(
    r"(?i)https?://(?:[^/?#$@]*@)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]*)?(?:[/?#]|$)"
)
"""The beginning of a URL whose host is written out."""


def stage_conflicts(configuration: Configuration) -> Iterator[Conflict | None]:
    """Yield what a configuration whose users run scenarios cannot have, with the way down to it."""
    for index, stage in enumerate(configuration.stages):
        at = ("stages", index)
        if isinstance(stage, FindStage):
            message = "is a rate of single requests, but load has scenarios"
            hint = "write max_users_per_s: the highest rate of users who start a scenario"
            yield conflict_if(stage.find.max_rps is not None, (*at, "find", "max_rps"), message, hint)
            continue
        message = "is a rate of single requests, but load has scenarios"
        hint = "write users_per_s: scenarios started per second, or users: a number of users"
        yield conflict_if(stage.rps is not None, (*at, "rps"), message, hint)
    yield from _service_names(configuration)
    yield from _foreign_urls(configuration)


def _foreign_urls(configuration: Configuration) -> Iterator[Conflict]:
    """Yield a conflict for each `url` that is written out and leads to a host that is not allowed."""
    load = configuration.load
    for index, scenario in enumerate(load.scenarios):
        for placed in scenario.request_steps():
            request = request_of(load, placed.step)
            written = _AUTHORITY.match(request.url or "") if request else None
            if request is None or written is None:
                continue
            host = plain_host(written[1])
            if _may_be_requested(host, configuration):
                continue
            at: tuple[str | int, ...] = ("scenarios", index, *placed.at, "request")
            if isinstance(placed.step.request, str):
                at = ("requests", load.requests.index(request))
            message = f"leads to {display(host)}, which is neither the target's host nor in load.allow_hosts"
            hint = f'if you are authorized to put load on it, add allow_hosts: ["{host}"] to load'
            yield Conflict(("load", *at, "url"), message, hint)


def _may_be_requested(host: str, configuration: Configuration) -> bool:
    """Return whether a host may be requested; a system that is started is on an address of this machine."""
    target = configuration.topology.external_url
    if host in configuration.load.allow_hosts:
        return True
    if target is not None:
        return host == host_of(target)
    return host == "localhost" or literal(host) is not None


def too_long(load: Load, stage: Stage) -> Iterator[str]:
    """Yield a sentence for each scenario that no user of a stage can complete, because of its pauses."""
    longest = stage.duration + load.timeout
    for scenario in load.scenarios:
        pauses = shortest_pauses(scenario.steps)
        if pauses > longest:
            yield (
                f"no user of {scenario.name} can complete: its pauses take at least {format_time(pauses)}, "
                f"and users end {format_time(longest)} after the window's start at the latest"
            )


def warnings(experiment: Experiment) -> Iterator[str]:
    """Yield a sentence for each scenario that no user can complete in a stage, after the stage's name."""
    for configuration in experiment.configurations:
        for stage in configuration.stages:
            one = stage.at(stage.find.highest) if isinstance(stage, FindStage) else stage
            for sentence in too_long(configuration.load, one):
                yield f"{configuration.name} · {stage.name}: {sentence}"


def unknown_parts(
    load: Load, thresholds: Iterable[tuple[tuple[str | int, ...], Threshold]]
) -> Iterator[Conflict]:
    """Yield a conflict for each threshold about a scenario or a step that the load does not have.

    Args:
        load: With scenarios.
        thresholds: Each after the way from the configuration down to it.
    """
    scenarios = [scenario.name for scenario in load.scenarios]
    steps = [part.name for part in load.parts]
    for at, threshold in thresholds:
        name = threshold.request
        if threshold.selects_scenario and name not in scenarios:
            hint = did_you_mean(name, scenarios) or f"scenarios are {join_words(scenarios, 'and')}"
            yield Conflict(at, f"there is no scenario '{name}' in load.scenarios", hint)
        elif name and not threshold.selects_scenario:
            yield from (Conflict(at, *problem) for problem in _unknown_step(name, steps, scenarios))


def _unknown_step(name: str, steps: Sequence[str], scenarios: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield message and hint about the name of a step, which the scenario need not precede."""
    if name in steps:
        return
    same = [step for step in steps if step.partition("/")[2] == name]
    if len(same) > 1:
        hint = f"write {join_words(f'{{request={step}}}' for step in same)}"
        yield f"{len(same)} scenarios have a step '{name}'", hint
    elif not same and name in scenarios:
        yield f"'{name}' is a scenario, not a step", f"write {{scenario={name}}}"
    elif not same:
        choices = steps if "/" in name else [step.partition("/")[2] for step in steps]
        hint = did_you_mean(name, choices) or f"steps are {join_words(steps[:_SHOWN], 'and')}"
        yield f"no scenario has a step '{name}'", hint


def _service_names(configuration: Configuration) -> Iterator[Conflict]:
    """Yield names of values that are also names of services, whose addresses hooks insert in the same way."""
    known = configuration.topology.known_services
    services = {*(known.started or ()), *known.watched}
    for index, scenario in enumerate(configuration.load.scenarios):
        for at, name in new_names(scenario):
            if name in services:
                message = f"'{name}' is a service, whose address is ${{{name}.host}}"
                yield Conflict(("load", "scenarios", index, *at), message, "choose another name")
