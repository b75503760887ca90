"""Each machine of an experiment on several: what it used, and its part of the load.

All figures come from the functions that a single machine is analyzed with, applied to what was observed on
the node alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import asdict, replace

from runner.analyze import kernel_counters
from runner.analyze.resource_usage import cpu_by_role, memory_by_role
from runner.analyze.shared_machines import by_machine
from runner.analyze.statistics import rounded
from runner.core.codes import Role
from runner.core.load_facts import LoadFacts
from runner.core.node_facts import ClockFacts, NodeLoad
from runner.core.node_results import NodeClock, NodeLoadResults, NodeResults
from runner.core.observed_facts import ObservedFacts
from runner.core.observed_results import CounterReading, ProgramUsage, Usage
from runner.core.system_facts import SystemDescription
from runner.core.units import NS_PER_MS, NS_PER_S, Seconds

MANY_NODES: Final = 16
"""Nodes up to which results have every counter of each."""
_NOTHING: Final = ObservedFacts(subjects=(), samples=())
_DIGITS: Final = 6


def node_results(
    load: LoadFacts | None,
    observed: ObservedFacts,
    system: SystemDescription | None,
    window_s: Seconds,
    peak_s: Seconds,
) -> tuple[NodeResults, ...]:
    """Return every node that ran a part of the system or made load, by name; nothing on one machine."""
    loads = {part.node: part for part in (load.nodes if load else ())}
    known = (system.nodes if system else None) or {}
    return tuple(
        _node(
            name,
            round(known[name].cores) if name in known else None,
            observed.nodes.get(name, _NOTHING),
            loads.get(name),
            window_s,
            peak_s,
        )
        for name in sorted({*loads, *observed.nodes})
    )


def without_unchanged(nodes: tuple[NodeResults, ...]) -> tuple[NodeResults, ...]:
    """Return nodes as results keep them: of many, without counters that neither rose nor had a level.

    With all of them, the results of a thousand nodes would be too large to be read.
    """
    if len(nodes) <= MANY_NODES:
        return nodes
    return tuple(replace(node, counters=tuple(filter(_is_changed, node.counters))) for node in nodes)


def _is_changed(counter: CounterReading) -> bool:
    return bool(counter.delta if counter.kind == "counter" else counter.peak or counter.after)


def _node(
    name: str,
    cores: int | None,
    observed: ObservedFacts,
    load: NodeLoad | None,
    window_s: Seconds,
    peak_s: Seconds,
) -> NodeResults:
    return NodeResults(
        name=name,
        cores=cores,
        cpu_cores=_rounded(cpu_by_role(observed, window_s, peak_s)),
        memory_mib=_rounded(memory_by_role(observed, window_s)),
        subjects=tuple(subject.name for subject in observed.subjects if subject.role != Role.SYSTEM),
        counters=kernel_counters.readings(observed),
        unreadable=kernel_counters.unreadable(observed),
        programs=tuple(ProgramUsage(**asdict(program)) for program in observed.programs),
        load=_load(load) if load else None,
    )


def _rounded(used: Mapping[str, Usage | None]) -> dict[str, Usage | None]:
    return {
        str(role): Usage(round(usage.avg, 4), rounded(usage.peak)) if usage else None
        for role, usage in used.items()
    }


def _load(load: NodeLoad) -> NodeLoadResults:
    return NodeLoadResults(
        workers=load.workers,
        share=round(load.share, _DIGITS),
        planned=load.planned,
        clock=_clock(load.clock) if load.clock else None,
        start_error_ms=_ms(load.start_error_ns),
        cpu_s=rounded(load.cpu_s),
        ceiling_rps=rounded(load.ceiling_rps),
        scheduled=load.scheduled,
        lost=load.lost,
        lost_at_s=rounded(load.lost_at_s),
        not_offered=load.not_offered,
        returned=load.returned,
        longest_stall_s=load.longest_stall_s,
    )


def _clock(clock: ClockFacts) -> NodeClock:
    return NodeClock(
        offset_s=round(clock.offset_ns / NS_PER_S, 9),
        error_ms=clock.error_ns / NS_PER_MS,
        round_trip_ms=clock.round_trip_ns / NS_PER_MS,
        drift_ms=_ms(clock.drift_ns),
        error_after_ms=_ms(clock.error_after_ns),
    )


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / NS_PER_MS


def cpu_of_all(
    nodes: Iterable[NodeResults], own: Usage | None, system: SystemDescription | None
) -> Usage | None:
    """Return the cores that all nodes used together, to relate them to requests; None if one is not known.

    Args:
        nodes: All nodes.
        own: Of the runner's own machine, if a part of the system or the generator ran there.
        system: Says which nodes share a machine; each of these saw all that was used on it.
    """
    used = {node.name: node.cpu_cores.get(Role.SYSTEM) for node in nodes if node.cpu_cores}
    known = {name: usage.avg for name, usage in used.items() if usage}
    if not used or len(known) < len(used):
        return None
    of_machines = (max(known[name] for name in group) for group in by_machine(known, system))
    return Usage(sum(of_machines) + (own.avg if own else 0.0), None)
