"""Which nodes of a cluster may run a part: ``node.labels.role==load``, in the words of Docker Swarm."""

from __future__ import annotations

import re
from typing import Annotated, Final, NamedTuple, Self, TypeAlias

from pydantic import AfterValidator, Field

from runner.experiment.base_model import invalid_value
from runner.experiment.fields import AsWritten
from runner.experiment.suggestions import did_you_mean, display, join_words

NODE_KEYS: Final = ("node.id", "node.hostname", "node.role", "node.platform.os", "node.platform.arch")
"""What every node has a value of; besides, it has labels."""
LABEL_PREFIXES: Final = ("node.labels.", "engine.labels.")
"""How a key of a label begins; its name follows."""
ROLES: Final = ("manager", "worker")
MAX_CONSTRAINTS: Final = 16

_FORM: Final = re.compile(r"\s*([A-Za-z0-9_.-]{1,200}?)\s*(==|!=)\s*(.{1,200}?)\s*")
_VALUE: Final = re.compile(r"[A-Za-z0-9:\-_\s.*+()?\[\]\\^$|/]+")
"""What Swarm accepts as a value (swarmkit, manager/constraint)."""
_EXAMPLE: Final = "such as node.labels.role==load"


class NodeConstraint(NamedTuple):
    """A condition on one value of a node.

    Attributes:
        key: One of `NODE_KEYS`, or one of `LABEL_PREFIXES` and the name of a label.
        equal: Whether the node's value has to equal `value`; else it must differ.
    """

    key: str
    equal: bool
    value: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the constraint in a text, whose key need not be known; None if it is none."""
        found = _FORM.fullmatch(text)
        return cls(found[1], found[2] == "==", found[3]) if found else None

    def accepts(self, value: str | None) -> bool:
        """Return whether a node may be used, as Swarm decides it: without regard to case.

        Args:
            value: The node's value of the key; None for a label that it does not have.
        """
        return (value is not None and value.casefold() == self.value.casefold()) is self.equal


def _constraint(value: str) -> str:
    constraint = NodeConstraint.parse(value)
    if constraint is None or not _VALUE.fullmatch(constraint.value):
        raise invalid_value(f"should be KEY==VALUE or KEY!=VALUE, not {display(value)}", _EXAMPLE)
    key = constraint.key
    is_label = any(key.startswith(prefix) and key != prefix for prefix in LABEL_PREFIXES)
    if key not in NODE_KEYS and not is_label:
        keys = [*NODE_KEYS, *(f"{prefix}NAME" for prefix in LABEL_PREFIXES)]
        hint = did_you_mean(key, keys) or f"keys are {join_words(keys, 'and')}"
        raise invalid_value(f"a node has no {display(key)}", hint)
    if key == "node.role" and constraint.value.casefold() not in ROLES:
        hint = did_you_mean(constraint.value, ROLES)
        raise invalid_value(f"node.role is manager or worker, not {display(constraint.value)}", hint)
    return f"{key}{'==' if constraint.equal else '!='}{constraint.value}"


Constraint: TypeAlias = Annotated[AsWritten, AfterValidator(_constraint), Field(max_length=500)]
Constraints: TypeAlias = Annotated[
    tuple[Constraint, ...],
    Field(
        default=(),
        max_length=MAX_CONSTRAINTS,
        description="Constraints that a node has to meet to run it, all of them; empty = any node. "
        "KEY==VALUE or KEY!=VALUE, where KEY is node.id, node.hostname, node.role, node.platform.os, "
        "node.platform.arch, node.labels.NAME or engine.labels.NAME.",
        examples=[["node.labels.role==app"]],
    ),
]
