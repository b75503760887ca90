"""A stage on several machines, as each of them saw it, so that rules made for one machine judge each alone.

CPU of two machines is never compared with the cores of one. What a rule needs to know of the whole system is
in `busiest`: all parts of it, on the machine whose processors were used most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from msgspec.structs import replace

from runner.core.codes import Role, is_service
from runner.core.measured import Requests
from runner.core.node_results import NodeResults
from runner.core.observed_results import Usage
from runner.core.stage_results import Stage

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine saw of a stage.

    Attributes:
        name: Of a node; empty for the runner's own machine.
        stage: As if nothing else had been observed; requests are those of the whole stage.
        cores: How many the machine has; None where that is not known.
    """

    name: str
    stage: Stage
    cores: int | None

    @property
    def used(self) -> float:
        """Share of its cores that were used; 0 where that is not known."""
        usage = self.stage.cpu_cores.get(Role.SYSTEM)
        return usage.avg / self.cores if usage and self.cores else 0.0

    @property
    def has_system(self) -> bool:
        """Whether a part of the system under test ran on it."""
        return any(_is_of_system(role) for role, usage in self.stage.cpu_cores.items() if usage)


def machines(stage: Stage, cores: int | None) -> list[Machine]:
    """Return every machine of a stage, the busiest first; of a stage on one machine, that alone.

    Args:
        stage: With all its nodes.
        cores: Of the runner's own machine.
    """
    if not stage.nodes:
        return [Machine("", stage, cores)]
    nodes = [Machine(node.name, _seen_by(node, stage), node.cores) for node in stage.nodes]
    own = _own(stage, cores)
    return sorted([*nodes, *([own] if own.has_system else [])], key=lambda it: -it.used)


def busiest(stage: Stage, known: Sequence[Machine]) -> Machine:
    """Return the whole system, on the machine with a part of it whose processors were used most.

    Args:
        stage: With all its nodes.
        known: Its machines.
    """
    if not stage.nodes:
        return known[0]
    first = next((machine for machine in known if machine.has_system), known[0])
    of_machine = {role: first.stage.cpu_cores.get(role) for role in (Role.SYSTEM, Role.OTHER)}
    whole = replace(
        stage,
        cpu_cores=stage.cpu_cores | of_machine,
        counters=tuple(chain.from_iterable(machine.stage.counters for machine in known)),
        unreadable=tuple(chain.from_iterable(machine.stage.unreadable for machine in known)),
        programs=first.stage.programs,
        nodes=tuple(node for node in stage.nodes if node.name == first.name),
    )
    return Machine(first.name, whole, first.cores)


def _is_of_system(role: str) -> bool:
    return role in {Role.APP, Role.PROXY, Role.FORWARDER} or is_service(role)


def _seen_by(node: NodeResults, stage: Stage) -> Stage:
    """Return what a node saw."""
    own = node.subjects
    return replace(
        stage,
        events=tuple(event for event in stage.events if event.node == node.name),
        requests=stage.requests if node.load else _without_generator_failures(stage),
        workers=node.load.workers if node.load else None,
        cpu_cores=dict(node.cpu_cores),
        cpu_cores_by_subject=_only(stage.cpu_cores_by_subject, own),
        throttling_by_subject=_only(stage.throttling_by_subject, own),
        requests_by_subject=_only(stage.requests_by_subject, own),
        memory_mib=dict(node.memory_mib),
        counters=node.counters,
        unreadable=node.unreadable,
        programs=node.programs,
        nodes=(),
    )


def _without_generator_failures(stage: Stage) -> Requests:
    """Return the requests without those that failed for a lack of ports on the generator's machine."""
    failures = {kind: count for kind, count in stage.requests.failures.items() if kind != "no_port"}
    return replace(stage.requests, failures=failures)


def _own(stage: Stage, cores: int | None) -> Machine:
    """Return what the runner's own machine saw."""
    elsewhere = frozenset(name for node in stage.nodes for name in node.subjects)
    own = [name for name in stage.cpu_cores_by_subject if name not in elsewhere]
    roles = {stage.cpu_cores_by_subject[name].role for name in own}
    cpu = {role: _rest(role, stage) for role in stage.cpu_cores if role in roles or role == Role.OTHER}
    seen = replace(
        stage,
        events=(),
        cpu_cores=cpu,
        cpu_cores_by_subject=_only(stage.cpu_cores_by_subject, own),
        throttling_by_subject=_only(stage.throttling_by_subject, own),
        requests_by_subject=_only(stage.requests_by_subject, own),
        nodes=(),
    )
    return Machine("", seen, cores)


def _rest(role: str, stage: Stage) -> Usage | None:
    """Return what a role used apart from the nodes."""
    whole = stage.cpu_cores[role]
    if whole is None or role in {Role.SYSTEM, Role.OTHER, Role.RUNNER}:
        return whole
    elsewhere = sum(usage.avg for node in stage.nodes if (usage := node.cpu_cores.get(role)))
    return Usage(max(0.0, whole.avg - elsewhere), None if elsewhere else whole.peak)


def _only(known: Mapping[str, _V], names: Sequence[str]) -> dict[str, _V]:
    return {name: known[name] for name in names if name in known}
