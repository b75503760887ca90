"""Nodes on one machine share its processors: each sees all that was used, and the programs of itself only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from runner.analyze.machines import Machine
from runner.core.codes import Role
from runner.core.observed_results import Usage
from runner.core.system_facts import NodeFacts, SystemDescription

_WHOLE = frozenset({Role.SYSTEM, Role.OTHER})


def by_machine(names: Iterable[str], system: SystemDescription | None) -> list[list[str]]:
    """Return nodes' names, those together that are known to share a machine, in the order given."""
    known: Mapping[str, NodeFacts] = (system.nodes if system else None) or {}
    groups: dict[frozenset[str], list[str]] = {}
    for name in names:
        others = known[name].same_machine if name in known else ()
        groups.setdefault(frozenset({name, *others}), []).append(name)
    return list(groups.values())


def whole_machines(seen: Sequence[Machine], system: SystemDescription | None) -> list[Machine]:
    """Return machines, of nodes that share one their machine as all of them together saw it.

    Args:
        seen: What each node saw, and the runner's own machine.
        system: Says which nodes share a machine.
    """
    by_name = {machine.name: machine for machine in seen}
    return [_together([by_name[name] for name in group]) for group in by_machine(by_name, system)]


def _together(nodes: Sequence[Machine]) -> Machine:
    """Return one machine; what the nodes' parts used is known, whichever agent saw it."""
    first, *others = nodes
    if not others:
        return first
    wholes = [usage.avg for it in nodes if (usage := it.stage.cpu_cores.get(Role.SYSTEM))]
    parts = [it.stage.cpu_cores.items() for it in nodes]
    known = sum(usage.avg for part in parts for role, usage in part if usage and role not in _WHOLE)
    whole = max(wholes, default=0.0)
    cpu = {str(Role.SYSTEM): Usage(whole, None), str(Role.OTHER): Usage(max(0.0, whole - known), None)}
    programs = {(it.name, it.pids): it for node in nodes for it in node.stage.programs}
    busiest = tuple(sorted(programs.values(), key=lambda it: -it.cores))
    *names, last = sorted(it.name for it in nodes)
    stage = replace(first.stage, cpu_cores=cpu, programs=busiest)
    return Machine(f"the machine of {', '.join(names)} and {last}", stage, first.cores)
