"""``matrix:`` expands each configuration into one for every combination of values.

Works on the tree, as the overlay does, so that a problem points at the value in the matrix. Names
depend on the values only: the same combination has the same name in every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final, NamedTuple

from runner.experiment.overrides import put, steps_of
from runner.experiment.problems import Fault, Refused
from runner.experiment.suggestions import slug
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Mark, Node, Scalar

KEY: Final = "matrix"
MAX_CELLS: Final = 32
MAX_NAME: Final = 48
_NOT_VARIED: Final = ("name", "title")


class _Axis(NamedTuple):
    """One key of the matrix with its values."""

    mark: Mark
    path: str
    steps: Sequence[str]
    label: str
    values: Sequence[Scalar]


def too_many_cells(document: MapNode, configurations: int) -> Fault | None:
    """Return a fault if the matrix makes too many of the document's configurations, before any is made."""
    axes = _axes(document)
    cells = prod(len(axis.values) for axis in axes)
    if cells * configurations <= MAX_CELLS:
        return None
    times = f" for each of {configurations} configurations" if configurations > 1 else ""
    message = f"makes {cells:,} combinations{times}; at most {MAX_CELLS} configurations are allowed"
    entry = document.entries[KEY]
    return Fault(entry.key, entry.value.path, message)


def spread(document: MapNode, resolved: MapNode, *, listed: bool) -> tuple[MapNode, list[Fault]]:
    """Return the resolved document with a configuration for every combination of the matrix, if any.

    If `document`, which is before the overlay, lists configurations, their names come first in the new ones.
    """
    axes, path_faults = _axes(document), list(_path_faults(document))
    entry = resolved.entries["configurations"]
    if not axes or not isinstance(entry.value, ListNode):
        return resolved, path_faults
    items: list[Node] = []
    faults: dict[Mark, Fault] = {}
    for item in entry.value.items:
        for values in product(*(axis.values for axis in axes)):
            try:
                items.append(_cell(item, axes, values, listed=listed))
            except Refused as refused:
                faults.setdefault(refused.fault.mark, refused.fault)
    if faults:
        return resolved, [*faults.values(), *path_faults]
    combined = ListNode(entry.value.mark, entry.value.path, tuple(items))
    entries = {**resolved.entries, "configurations": Entry(entry.key, combined)}
    return MapNode(resolved.mark, resolved.path, entries), path_faults


def _axes(document: MapNode) -> list[_Axis]:
    """Return every key that is a path and has a list of single values; the model reports the others."""
    rows = [(path, entry, steps_of(path)) for path, entry in _rows(document)]
    last = [steps[-1] for _, _, steps in rows if steps]
    axes = []
    for path, entry, steps in rows:
        items = entry.value.items if isinstance(entry.value, ListNode) else ()
        values = [item for item in items if isinstance(item, Scalar) and item.value is not None]
        if steps and steps[0] not in _NOT_VARIED and values:
            label = steps[-1] if last.count(steps[-1]) == 1 else ".".join(steps)
            axes.append(_Axis(entry.key, path, steps, label, values))
    return axes


def _rows(document: MapNode) -> Iterator[tuple[str, Entry]]:
    entry = document.entries.get(KEY)
    if entry is not None and isinstance(entry.value, MapNode):
        yield from entry.value.entries.items()


def _path_faults(document: MapNode) -> Iterator[Fault]:
    for path, entry in _rows(document):
        steps = steps_of(path)
        if not steps:
            yield Fault(entry.key, entry.value.path, "is not a path to a key", "such as topology.replicas")
        elif steps[0] in _NOT_VARIED:
            message = f"cannot be varied: each combination gets its own {steps[0]}"
            yield Fault(entry.key, entry.value.path, message)


def _cell(item: Node, axes: Sequence[_Axis], values: Sequence[Scalar], *, listed: bool) -> Node:
    """Return one configuration with one combination of values; `Refused` if a path does not exist in it."""
    if not isinstance(item, MapNode):
        return item
    node: Node = item
    for axis, value in zip(axes, values, strict=True):
        node = put(node, axis.steps, value, axis.mark)
    assert isinstance(node, MapNode)
    labels = [(axis.label, _written(value.value)) for axis, value in zip(axes, values, strict=True)]
    label = ", ".join(f"{name}={value}" for name, value in labels)
    name = "-".join(slug(f"{name}-{value}") for name, value in labels)
    return _named(node, name, label, axes[0].mark, listed=listed)


def _named(node: MapNode, name: str, label: str, at: Mark, *, listed: bool) -> MapNode:
    """Return the configuration with the combination's name, after its own name if it has one."""
    own, title = _text(node, "name") if listed else None, _text(node, "title")
    if own is not None:
        name, label = f"{own}-{name}", f"{title or own}: {label}"
    if len(name) > MAX_NAME:
        message = f"the configuration name '{name}' is longer than {MAX_NAME} characters"
        raise Refused(at, KEY, message, "shorten the name of the configuration, or vary fewer keys")
    named = {"name": Entry(at, Scalar(at, KEY, name)), "title": Entry(at, Scalar(at, KEY, label))}
    return MapNode(node.mark, node.path, {**node.entries, **named})


def _text(node: MapNode, key: str) -> str | None:
    entry = node.entries.get(key)
    value = entry.value.value if entry and isinstance(entry.value, Scalar) else None
    return value if isinstance(value, str) else None


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
