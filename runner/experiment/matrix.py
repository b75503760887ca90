"""``matrix:``: every combination of some values, laid over each configuration.

Works on the tree, like the overlay, so that a value that does not fit is named at its place in the
matrix. Names come from the values alone: the same cell has the same name in every run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from runner.experiment.overrides import put, steps_of
from runner.experiment.problems import Fault, Refused
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Mark, Node, Scalar

KEY: Final = "matrix"
MAX_CELLS: Final = 32
MAX_NAME: Final = 48
_OWN: Final = ("name", "title")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Axis:
    """One key of the matrix with its values."""

    mark: Mark
    path: str
    steps: Sequence[str]
    label: str
    values: Sequence[Scalar]


def slug(text: str) -> str:
    """A part of a name: ``keep-alive``, ``0-5``."""
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-")


def too_many_cells(document: MapNode, configurations: int) -> Fault | None:
    """Stops a small file from becoming a large experiment, before anything is multiplied.

    Args:
        document: The whole document.
        configurations: How many it lists, >= 1.
    """
    axes = _axes(document)
    cells = prod(len(axis.values) for axis in axes)
    if cells * configurations <= MAX_CELLS:
        return None
    each = f" for each of {configurations} configurations" if configurations > 1 else ""
    message = f"makes {cells:,} combinations{each}; at most {MAX_CELLS} configurations may come of it"
    entry = document.entries[KEY]
    return Fault(entry.key, entry.value.path, message)


def spread(document: MapNode, resolved: MapNode, *, listed: bool) -> tuple[MapNode, list[Fault]]:
    """The resolved document with a configuration for every combination.

    Args:
        document: As written, with or without a matrix.
        resolved: After the overlay, every configuration complete in itself.
        listed: Whether `document` names its configurations itself; their names then come first.
    """
    axes = _axes(document)
    entry = resolved.entries["configurations"]
    if not axes or not isinstance(entry.value, ListNode):
        return resolved, list(_no_paths(document))
    items: list[Node] = []
    faults: dict[Mark, Fault] = {}
    for item in entry.value.items:
        for values in product(*(axis.values for axis in axes)):
            try:
                items.append(_cell(item, axes, values, listed=listed))
            except Refused as refused:
                faults.setdefault(refused.fault.mark, refused.fault)
    if faults:
        return resolved, [*faults.values(), *_no_paths(document)]
    laid = ListNode(entry.value.mark, entry.value.path, tuple(items))
    entries = {**resolved.entries, "configurations": Entry(entry.key, laid)}
    return MapNode(resolved.mark, resolved.path, entries), list(_no_paths(document))


def _axes(document: MapNode) -> list[_Axis]:
    """Every key that is a path and has a list of single values; the model complains about the rest."""
    rows = [(path, entry, steps_of(path)) for path, entry in _rows(document)]
    last = [steps[-1] for _, _, steps in rows if steps]
    return [
        _Axis(
            mark=entry.key,
            path=path,
            steps=steps,
            label=steps[-1] if last.count(steps[-1]) == 1 else ".".join(steps),
            values=values,
        )
        for path, entry, steps in rows
        if steps and steps[0] not in _OWN and (values := _values(entry.value))
    ]


def _values(node: Node) -> list[Scalar]:
    items = node.items if isinstance(node, ListNode) else ()
    return [item for item in items if isinstance(item, Scalar) and item.value is not None]


def _rows(document: MapNode) -> Iterator[tuple[str, Entry]]:
    entry = document.entries.get(KEY)
    if entry is not None and isinstance(entry.value, MapNode):
        yield from entry.value.entries.items()


def _no_paths(document: MapNode) -> Iterator[Fault]:
    for path, entry in _rows(document):
        steps = steps_of(path)
        if not steps:
            yield Fault(entry.key, entry.value.path, "is no path to a key", "such as topology.replicas")
        elif steps[0] in _OWN:
            message = f"a combination makes its own {steps[0]}"
            yield Fault(entry.key, entry.value.path, message)


def _cell(item: Node, axes: Sequence[_Axis], values: Sequence[Scalar], *, listed: bool) -> Node:
    """One configuration with one combination of values in it.

    Raises:
        Refused: A value's place is not in the configuration, or its name would be too long.
    """
    if not isinstance(item, MapNode):
        return item
    node: Node = item
    for axis, value in zip(axes, values, strict=True):
        node = put(node, axis.steps, value, axis.mark)
    assert isinstance(node, MapNode)
    words = [(axis.label, _written(value.value)) for axis, value in zip(axes, values, strict=True)]
    label = ", ".join(f"{name}={value}" for name, value in words)
    name = "-".join(slug(f"{name}-{value}") for name, value in words)
    return _named(node, name, label, axes[0].mark, listed=listed)


def _named(node: MapNode, name: str, label: str, at: Mark, *, listed: bool) -> MapNode:
    """The configuration under a combination's name, behind its own if it has one."""
    own, title = _text(node, "name") if listed else None, _text(node, "title")
    if own is not None:
        name, label = f"{own}-{name}", f"{title or own}: {label}"
    if len(name) > MAX_NAME:
        message = f"the name '{name}' would have more than {MAX_NAME} characters"
        raise Refused(Fault(at, KEY, message, "shorten the configuration's name, or vary fewer keys"))
    named = {"name": Entry(at, Scalar(at, KEY, name)), "title": Entry(at, Scalar(at, KEY, label))}
    return MapNode(node.mark, node.path, {**node.entries, **named})


def _text(node: MapNode, key: str) -> str | None:
    entry = node.entries.get(key)
    value = entry.value.value if entry and isinstance(entry.value, Scalar) else None
    return value if isinstance(value, str) else None


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
