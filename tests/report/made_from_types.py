"""Values of a struct type with the same text in every string, made by walking the type itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from runner.core.metrics import KEY_METRICS

T = TypeVar("T")

_KEYS = (
    "app", "system", "proxy", "forwarder", "other", "p50", "p95", "p99", "timeout", "cpu_count", *KEY_METRICS
)  # fmt: skip
_WORDS = ("new", "keep-alive", "overload", "search", "response_time", "duration_ms.p95", "app", "system")
_NAMES = ("duration_ms.p95", "lost", "actual_rps", "cpu_cores.app")
_PREFIXES = ("", "", "", "tcp.", "net:")
"""What some names begin with where that decides how they are shown."""
_NUMBERS = (0, 0.004, 0.5, 1, 3, 99.5, 1500, 1e15, -1)
_DEEPEST = 8
"""Levels below which what is optional is left out, because a stage may hold a stage."""
_FREE = Meta()


class Text:
    """The text for strings, and what comes nearest to it where a pattern forbids it."""

    def __init__(self, text: str, *nearest: str) -> None:
        self.candidates = (text, *nearest)

    def fitting(self, meta: Meta) -> str:
        """Return the first candidate that the type allows."""
        return next(text for text in self.candidates if _allows(meta, text))


def _allows(meta: Meta, text: str) -> bool:
    if meta.max_length is not None and len(text) > meta.max_length:
        return False
    return meta.pattern is None or re.search(meta.pattern, text) is not None


def made(cls: type[T], text: Text, seed: int) -> T:
    """Return a valid value of a type; the seed decides all but the text.

    Args:
        cls: A struct type.
        text: Goes into every string and, where the type allows it, into a key of every mapping.
        seed: Of numbers, lengths, optional fields and enumerated values.
    """
    value: T = _Maker(text, Random(seed)).value(cls, 0)
    return value


def rewritten(value: T, text: Text) -> T:
    """Return a struct with the text in every string that may hold any text."""
    written: T = _rewritten(value, type(value), text)
    return written


@cache
def _fields(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _split(hint: Any) -> tuple[Any, Meta]:
    """Return a type without its constraints, and those."""
    if get_origin(hint) is not Annotated:
        return hint, _FREE
    base, *rest = get_args(hint)
    base, inner = _split(base)
    return base, next((meta for meta in rest if isinstance(meta, Meta)), inner)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in {Union, UnionType}


class _Maker:
    def __init__(self, text: Text, random: Random) -> None:
        self.text = text
        self.random = random

    def value(self, hint: Any, depth: int) -> Any:
        kind, meta = _split(hint)
        if _is_union(kind):
            return self._union(get_args(kind), depth)
        origin = get_origin(kind)
        if origin is Literal:
            return self.random.choice(get_args(kind))
        if origin is tuple:
            return self._tuple(get_args(kind), meta, depth)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(*get_args(kind), depth)
        return self._simple(kind, meta, depth)

    def _simple(self, kind: type, meta: Meta, depth: int) -> Any:
        if issubclass(kind, Struct):
            return kind(**{name: self.value(hint, depth + 1) for name, hint in _fields(kind).items()})
        if issubclass(kind, Enum):
            return self.random.choice(list(kind))
        if kind is bool:
            return self.random.choice((True, False))
        return self._string(meta) if kind is str else self._number(kind, meta)

    def _union(self, kinds: tuple[Any, ...], depth: int) -> Any:
        absent = [kind for kind in kinds if kind in {NoneType, UnsetType}]
        nothing = self.random.random() < 0.15
        chosen = self.random.choice([kind for kind in kinds if kind not in absent])
        if absent and (nothing or depth > _DEEPEST):
            return None if NoneType in absent else UNSET
        return self.value(chosen, depth)

    def _tuple(self, kinds: tuple[Any, ...], meta: Meta, depth: int) -> tuple[Any, ...]:
        if kinds[-1] is not Ellipsis:
            return tuple(self.value(kind, depth + 1) for kind in kinds)
        length = self.random.choice((0, 1, 2, 3)) if depth <= _DEEPEST else 0
        return tuple(self.value(kinds[0], depth + 1) for _ in range(max(length, meta.min_length or 0)))

    def _mapping(self, key: Any, kind: Any, depth: int) -> dict[str, Any]:
        keys = [self.text.fitting(_split(key)[1]), *self.random.sample(_KEYS, 6)]
        return {name: self.value(kind, depth + 1) for name in keys}

    def _string(self, meta: Meta) -> str:
        known = self.random.choice(_WORDS)
        prefix = self.random.choice(_PREFIXES)
        name = self.random.choice(_NAMES)
        common = self.random.random()
        if common < 0.5 and meta.pattern is not None and _allows(meta, known):
            return known
        if common < 0.3 and meta is _FREE:
            return name
        return (prefix if meta.pattern is None else "") + self.text.fitting(meta)

    def _number(self, kind: type, meta: Meta) -> float:
        number = self.random.choice([number for number in _NUMBERS if meta.ge is None or number >= meta.ge])
        return kind(number)


def _rewritten(value: Any, hint: Any, text: Text) -> Any:
    kind, meta = _split(hint)
    if isinstance(value, Struct):
        fields = _fields(type(value))
        return replace(
            value, **{name: _rewritten(getattr(value, name), fields[name], text) for name in fields}
        )
    if _is_union(kind):
        fitting = [each for each in get_args(kind) if _holds(value, each)]
        return _rewritten(value, fitting[0], text)
    if isinstance(value, Mapping):
        return {name: _rewritten(part, get_args(kind)[1], text) for name, part in value.items()}
    if isinstance(value, tuple):
        parts = get_args(kind)
        parts = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_rewritten(part, of, text) for part, of in zip(value, parts, strict=True))
    return text.fitting(meta) if kind is str and meta.pattern is None else value


def _holds(value: Any, hint: Any) -> bool:
    kind, _ = _split(hint)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return isinstance(value, get_origin(kind) or kind)
