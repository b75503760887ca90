"""Which stages and names a configuration with scenarios can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.find import FindStage
from runner.experiment.scenario_values import new_names

if TYPE_CHECKING:
    from runner.experiment.model import Configuration


def stage_conflicts(configuration: Configuration) -> Iterator[Conflict | None]:
    """Yield what a configuration whose users run scenarios cannot have, with the way down to it."""
    for index, stage in enumerate(configuration.stages):
        at = ("stages", index)
        if isinstance(stage, FindStage):
            message = "cannot be combined with load.scenarios: it searches for a rate of single requests"
            yield Conflict(
                (*at, "find"), message, "write several stages, such as users_per_s: {from: 1, to: 20}"
            )
            continue
        message = "is a rate of single requests, but load has scenarios"
        hint = "write users_per_s: scenarios started per second, or users: a number of users"
        yield conflict_if(stage.rps is not None, (*at, "rps"), message, hint)
    yield from _service_names(configuration)


def _service_names(configuration: Configuration) -> Iterator[Conflict]:
    """Yield names of values that are also names of services, whose addresses hooks insert in the same way."""
    known = configuration.topology.known_services
    services = {*(known.started or ()), *known.watched}
    for index, scenario in enumerate(configuration.load.scenarios):
        for at, name in new_names(scenario):
            if name in services:
                message = f"'{name}' is a service, whose address is ${{{name}.host}}"
                yield Conflict(("load", "scenarios", index, *at), message, "choose another name")
