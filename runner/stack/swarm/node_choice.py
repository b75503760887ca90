"""Which nodes meet constraints, decided as Docker Swarm decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from runner.cluster.placement import Node
from runner.experiment.node_constraint import NodeConstraint

_ENGINE_LABELS: Final = "engine.labels."
_NODE_LABELS: Final = "node.labels."
_ENGINE_PREFIX: Final = "engine."
"""How labels of engines begin in `Node.labels`."""
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Architecture of images to what a node's kernel calls it; constraints may name either."""


def meets(node: Node, constraints: Iterable[str]) -> bool:
    """Return whether a node meets all constraints of a valid specification."""
    parsed = (NodeConstraint.parse(text) for text in constraints)
    return all(constraint is not None and _accepts(constraint, node) for constraint in parsed)


def ready_nodes(nodes: Iterable[Node], constraints: Sequence[str]) -> tuple[Node, ...]:
    """Return the nodes that are ready and meet all constraints, by name."""
    return tuple(
        sorted(
            (node for node in nodes if node.state == "ready" and meets(node, constraints)),
            key=lambda node: node.name,
        )
    )


def _accepts(constraint: NodeConstraint, node: Node) -> bool:
    if constraint.key == "node.platform.arch":
        names = {node.architecture, _MACHINES.get(node.architecture, node.architecture)}
        equal = any(name.casefold() == constraint.value.casefold() for name in names)
        return equal is constraint.equal
    return constraint.accepts(_value(constraint.key, node))


def _value(key: str, node: Node) -> str | None:
    if key.startswith(_ENGINE_LABELS):
        return node.labels.get(_ENGINE_PREFIX + key.removeprefix(_ENGINE_LABELS))
    if key.startswith(_NODE_LABELS):
        return node.labels.get(key.removeprefix(_NODE_LABELS))
    values = {
        "node.id": node.id,
        "node.hostname": node.name,
        "node.role": "manager" if node.is_manager else "worker",
        "node.platform.os": "linux",
    }
    return values.get(key)
