"""A YAML document as a tree in which every value knows where it was written.

Overlays and ``--set`` move values about; because each keeps its own mark and path, a
problem found at the very end still points at the line that caused it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.experiment.suggestions import harmless

_PLAIN_KEY: Final = re.compile(r"[\w-]{1,60}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file or in a ``--set``.

    Attributes:
        line: From 1; always 1 in a ``--set``.
        column: In characters, from 1.
        width: Characters to underline, >= 1.
        override: The ``path=value`` it was written in, None in the file.
    """

    line: int
    column: int
    width: int = 1
    override: str | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: None, bool, int, float or text."""

    mark: Mark
    path: str
    value: object


@dataclass(frozen=True, slots=True)
class ListNode:
    """A YAML sequence."""

    mark: Mark
    path: str
    items: Sequence[Node]


@dataclass(frozen=True, slots=True)
class MapNode:
    """A YAML mapping; keys are text and unique."""

    mark: Mark
    path: str
    entries: Mapping[str, Entry]


Node: TypeAlias = Scalar | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: Mark
    value: Node


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the tree.

    Attributes:
        node: The deepest node on the way.
        key: Its key, or its own mark when it has none.
    """

    node: Node
    key: Mark

    @property
    def value(self) -> Mark:
        """Where a complaint about the value points: a collection is named by its key."""
        return self.node.mark if isinstance(self.node, Scalar) else self.key


def join(path: str, part: str | int) -> str:
    """The path one step further down: ``stages`` and 0 make ``stages[0]``."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if not _PLAIN_KEY.fullmatch(part):
        return f'{path}["{harmless(part[:60])}"]'
    return f"{path}.{part}" if path else part


def plain(node: Node) -> Any:
    """The tree as dicts, lists and scalars, without marks."""
    match node:
        case MapNode():
            return {key: plain(entry.value) for key, entry in node.entries.items()}
        case ListNode():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value


def find(root: Node, location: Sequence[str | int]) -> Place:
    """The node at a location, as deep as the tree goes.

    Args:
        root: Where to start.
        location: Keys and indexes. What is not in the tree is skipped, since pydantic mixes
            the names of union members into its locations.
    """
    place = Place(root, root.mark)
    for part in location:
        match place.node:
            case MapNode(entries=entries) if part in entries:
                place = Place(entries[str(part)].value, entries[str(part)].key)
            case ListNode(items=items) if isinstance(part, int) and part < len(items):
                place = Place(items[part], items[part].mark)
    return place


def marks(node: Node) -> Iterator[Mark]:
    """Every mark in the tree."""
    yield node.mark
    match node:
        case MapNode():
            for entry in node.entries.values():
                yield entry.key
                yield from marks(entry.value)
        case ListNode():
            for item in node.items:
                yield from marks(item)
