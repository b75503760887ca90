"""A YAML document as a tree in which every value has its position.

Overlays and ``--set`` move values; because each keeps its mark and path, a problem that is detected
at the end still points at the line that caused it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from runner.experiment.suggestions import harmless

_PLAIN_KEY: Final = re.compile(r"[\w-]{1,60}")


class Mark(NamedTuple):
    """A place in the file or in a ``--set``.

    Attributes:
        line: From 1; always 1 in a ``--set``.
        column: In characters, from 1.
        width: Characters to underline, >= 1.
        override: The ``path=value`` that contains it, None in the file.
    """

    line: int
    column: int
    width: int = 1
    override: str | None = None


class Scalar(NamedTuple):
    """A single value: None, bool, int, float or text."""

    mark: Mark
    path: str
    value: object


class ListNode(NamedTuple):
    """A YAML sequence."""

    mark: Mark
    path: str
    items: Sequence[Node]


class MapNode(NamedTuple):
    """A YAML mapping; keys are text and unique."""

    mark: Mark
    path: str
    entries: Mapping[str, Entry]


Node: TypeAlias = Scalar | ListNode | MapNode


class Entry(NamedTuple):
    """One key of a mapping with its value."""

    key: Mark
    value: Node


class Place(NamedTuple):
    """The deepest node on a path, and the mark of its key, or its own mark if it has none."""

    node: Node
    key: Mark

    @property
    def value(self) -> Mark:
        """The mark for a problem with the value; for a collection, that of its key."""
        return self.node.mark if isinstance(self.node, Scalar) else self.key


def join(path: str, step: str | int) -> str:
    """Return the path with one more step: ``stages`` and 0 make ``stages[0]``."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not _PLAIN_KEY.fullmatch(step):
        return f'{path}["{harmless(step[:60])}"]'
    return f"{path}.{step}" if path else step


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and scalars, without marks."""
    match node:
        case MapNode():
            return {key: plain(entry.value) for key, entry in node.entries.items()}
        case ListNode():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value


def find(root: Node, location: Sequence[str | int]) -> Place:
    """Return the node at a location of keys and indexes, or the deepest one on the path to it.

    Steps that are not in the tree are skipped, because pydantic adds the names of union members.
    """
    place = Place(root, root.mark)
    for step in location:
        match place.node:
            case MapNode(entries=entries) if step in entries:
                place = Place(entries[str(step)].value, entries[str(step)].key)
            case ListNode(items=items) if isinstance(step, int) and step < len(items):
                place = Place(items[step], items[step].mark)
    return place


def marks(node: Node) -> Iterator[Mark]:
    """Yield every mark in the tree."""
    yield node.mark
    match node:
        case MapNode():
            for entry in node.entries.values():
                yield entry.key
                yield from marks(entry.value)
        case ListNode():
            for item in node.items:
                yield from marks(item)
