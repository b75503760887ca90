"""From which nodes of a cluster the load is sent: ``load.nodes``, and what cannot be combined with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag

from runner.experiment.base_model import Conflict, invalid_value
from runner.experiment.fields import Whole
from runner.experiment.node_constraint import MAX_CONSTRAINTS, Constraint, NodeConstraint
from runner.experiment.suggestions import display

if TYPE_CHECKING:
    from runner.experiment.thresholds import Threshold
    from runner.experiment.topology import Topology
    from runner.experiment.traffic import Load

MAX_LOAD_NODES: Final = 1000

_OF_ONE_MACHINE: Final = tuple(f"{of}.{role}." for of in ("cpu", "memory") for role in ("system", "other"))
_NO_K6: Final = "use engine builtin without cross_check"
_REACHABLE: Final = (
    "use kind swarm, or start the system where the nodes reach it and use kind external with that address"
)


def _tag(value: Any) -> str:
    return "#constraints" if isinstance(value, list | tuple) else "#number"


def _number_or_list(value: Any) -> Any:
    if isinstance(value, str) and not value.strip().isdecimal():
        raise invalid_value(
            f"should be a number of nodes or a list of constraints, not {display(value)}",
            f"such as 2 or [{_suggested(value)}]",
        )
    return value


def _suggested(value: str) -> str:
    """Return a constraint as an example: the one that was written, if it is one."""
    return value.strip() if NodeConstraint.parse(value) else "node.labels.role==load"


LoadNodes: TypeAlias = Annotated[
    Annotated[Whole, Field(ge=1, le=MAX_LOAD_NODES), Tag("#number")]
    | Annotated[tuple[Constraint, ...], Field(min_length=1, max_length=MAX_CONSTRAINTS), Tag("#constraints")],
    Discriminator(_tag),
    BeforeValidator(_number_or_list),
]
"""A number of nodes, or the constraints that all load nodes meet; tags cannot be keys of a file."""


def load_node_conflicts(topology: Topology, load: Load) -> Iterator[Conflict]:
    """Yield what cannot be combined with load from the nodes of a cluster."""
    if load.nodes is None and not topology.needs_load_nodes:
        return
    if load.engine == "k6" or load.cross_check:
        subject = "engine k6" if load.engine == "k6" else "cross_check uses engine k6, which"
        key = "engine" if load.engine == "k6" else "cross_check"
        message = f"{subject} sends load from this machine only, not from nodes of a swarm"
        yield Conflict(("load", key), message, _NO_K6)
    if load.nodes is not None and (why := topology.why_nodes_cannot_reach):
        yield Conflict(("load", "nodes"), f"other machines cannot reach the endpoint: {why}", _REACHABLE)


def metrics_of_one_machine(
    topology: Topology, thresholds: Iterable[tuple[tuple[str | int, ...], Threshold]]
) -> Iterator[Conflict]:
    """Yield a conflict for each threshold about a whole machine, where the system has several.

    Args:
        topology: The system.
        thresholds: Each with where it is.
    """
    if not topology.needs_load_nodes:
        return
    for at, threshold in thresholds:
        if threshold.metric.startswith(_OF_ONE_MACHINE):
            message = (
                f"{threshold.metric} has no value in a swarm: it is of one machine, and there are several"
            )
            yield Conflict(at, message, "use a role instead, such as cpu.app.avg")
