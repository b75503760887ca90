"""Whether the replicas on all nodes did the same work: a node that did more reaches its limit first."""

from __future__ import annotations

from statistics import fmean
from typing import Final, NamedTuple

from runner.core.codes import Role
from runner.core.findings import Evidence
from runner.core.node_results import NodeResults
from runner.core.stage_results import Stage

UNEVEN: Final = 1.25
"""Work of a replica on the node that did most of it, divided by that on the node that did least, from which
that is evidence; our own bound."""
_LEAST_CORES: Final = 0.05


class NodeWork(NamedTuple):
    """What a replica of the app on a node did on average: cores, and requests where all were counted."""

    node: str
    cores: float
    requests: float | None


def work_by_node(stage: Stage) -> list[NodeWork]:
    """Return what a replica did on each node that has some, most first; nothing on one node."""
    known = [work for node in stage.nodes if (work := _work(node, stage))]
    return sorted(known, key=lambda work: -work.cores) if len(known) > 1 else []


def _work(node: NodeResults, stage: Stage) -> NodeWork | None:
    by_subject = stage.cpu_cores_by_subject
    apps = [name for name in node.subjects if (subject := by_subject.get(name)) and subject.role == Role.APP]
    used = [cpu.avg for name in apps if (cpu := by_subject[name].cpu)]
    if not apps or len(used) < len(apps):
        return None
    counted = [stage.requests_by_subject[name] for name in apps if name in stage.requests_by_subject]
    return NodeWork(node.name, fmean(used), fmean(counted) if len(counted) == len(apps) else None)


def is_uneven(work: list[NodeWork]) -> bool:
    """Return whether a replica on one node did clearly more than one on another."""
    return bool(work) and work[0].cores >= max(_LEAST_CORES, UNEVEN * work[-1].cores)


def balance_evidence(stage: Stage) -> tuple[Evidence, ...]:
    """Return what a replica did on the node where it did most, and where it did least; else nothing."""
    work = work_by_node(stage)
    if not is_uneven(work):
        return ()
    return tuple(item for node in (work[0], work[-1]) for item in _evidence(node))


def _evidence(work: NodeWork) -> list[Evidence]:
    cpu = Evidence(f"CPU of a replica on {work.node}", work.cores, "cores")
    if work.requests is None:
        return [cpu]
    return [cpu, Evidence(f"requests to a replica on {work.node}", round(work.requests), "requests")]
