"""The shape that stored JSON must have, as data, and every way in which it has not.

A results.json may come from another version, a text editor or a stranger's pull request. What
this lets through can be rendered: the types are right, numbers are finite, and the words that a
report prints as they are hold no markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, TypeAlias

Shape: TypeAlias = "Leaf | Record | Each | Many"

_MOST: Final = 1e15
_MOST_TEXT: Final = 100_000
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PLAIN: Final = re.compile(r"[^\\`*_{}\[\]<>#|~@\x00-\x1f]{0,40}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value without parts.

    Attributes:
        kind: ``text``, ``number``, ``flag``; ``word`` is a name such as ``host-cpu-limited``,
            ``plain`` a short text without markup such as a unit; ``command`` is text or a list
            of texts; ``any`` is not looked at.
        null: Whether it may be missing or null.
    """

    kind: str
    null: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An object with known keys; others are let through, they come from newer versions.

    Attributes:
        keys: Every known key; those in `later` may be missing, because older versions lack them.
        later: Keys that came after schema version 1 was first written.
        null: Whether it may be null.
    """

    keys: Mapping[str, Shape]
    later: frozenset[str] = frozenset()
    null: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """An object whose keys are words and whose values all have one shape, but for some keys."""

    value: Shape
    but: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    item: Shape
    least: int = 0
    null: bool = False


def misfits(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What is wrong, one line a place, such as ``configurations[0].name: text is missing``."""
    match shape:
        case Leaf():
            if fault := _leaf_fault(value, shape):
                yield f"{path or 'the file'}: {fault}"
        case Record() | Each():
            if value is None and isinstance(shape, Record) and shape.null:
                return
            if not isinstance(value, Mapping):
                yield f"{path or 'the file'}: an object was expected, not {_kind(value)}"
            elif isinstance(shape, Record):
                yield from _record(value, shape, path)
            else:
                yield from _each(value, shape, path)
        case Many():
            yield from _many(value, shape, path)


def _record(value: Mapping[str, Any], shape: Record, path: str) -> Iterator[str]:
    for key, inner in shape.keys.items():
        where = f"{path}.{key}" if path else key
        if key in value:
            yield from misfits(value[key], inner, where)
        elif key not in shape.later:
            yield f"{where}: it is missing"


def _each(value: Mapping[str, Any], shape: Each, path: str) -> Iterator[str]:
    for key, inner in value.items():
        if not _WORD.fullmatch(key):
            yield f"{path}: {key[:40]!r} is no name"
            continue  # a stranger's key is never printed as it is: it may hold a line of its own
        yield from misfits(inner, shape.but.get(key, shape.value), f"{path}.{key[:40]}")


def _many(value: Any, shape: Many, path: str) -> Iterator[str]:
    if value is None and shape.null:
        return
    if not isinstance(value, list):
        yield f"{path or 'the file'}: a list was expected, not {_kind(value)}"
        return
    if len(value) < shape.least:
        yield f"{path}: it is empty"
    for index, item in enumerate(value):
        yield from misfits(item, shape.item, f"{path}[{index}]")


def _leaf_fault(value: Any, leaf: Leaf) -> str:
    if value is None and leaf.null:
        return ""
    match leaf.kind:
        case "any":
            return ""
        case "number":
            good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST
            return "" if good else f"a number was expected, not {_kind(value)}"
        case "flag":
            return "" if isinstance(value, bool) else f"true or false was expected, not {_kind(value)}"
        case "command" if isinstance(value, list):
            return "" if all(isinstance(word, str) for word in value) else "words were expected"
        case _:
            return _text_fault(value, leaf.kind)


def _text_fault(value: Any, kind: str) -> str:
    if not isinstance(value, str):
        return f"text was expected, not {_kind(value)}"
    if len(value) > _MOST_TEXT:
        return f"the text is longer than {_MOST_TEXT:,} characters"
    pattern = {"word": _WORD, "plain": _PLAIN}.get(kind)
    return "" if pattern is None or pattern.fullmatch(value) else f"{value[:40]!r} was not expected here"


def _kind(value: Any) -> str:
    if isinstance(value, float) and not isfinite(value):
        return "one without an end"
    if isinstance(value, int | float) and abs(value) > _MOST:
        return "one of that size"
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
