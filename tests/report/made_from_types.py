"""Values of a struct type with the same text in every string, made by walking the type itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

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
    value: T = _make_of(cls)(_Maker(text, Random(seed)), 0)
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
    """Makes the parts of one value.

    Attributes:
        text: Goes into strings and keys.
        random: Decides the rest.
    """

    def __init__(self, text: Text, random: Random) -> None:
        self.text = text
        self.random = random

    def struct(self, kind: type[Struct], depth: int) -> Any:
        return kind(**{name: make(self, depth + 1) for name, make in _makes_of_fields(kind)})

    def choice(self, ones: Sequence[Any], _depth: int) -> Any:
        return self.random.choice(ones)

    def union(self, makes: Sequence[_Make], absent: Any, depth: int) -> Any:
        """`absent` is what stands for nothing, or the union itself if there must be something."""
        nothing = self.random.random() < 0.15
        make = self.random.choice(makes)
        if absent is not makes and (nothing or depth > _DEEPEST):
            return absent
        return make(self, depth)

    def fixed_tuple(self, makes: Sequence[_Make], depth: int) -> tuple[Any, ...]:
        return tuple([make(self, depth + 1) for make in makes])

    def any_tuple(self, make: _Make, shortest: int, depth: int) -> tuple[Any, ...]:
        length = self.random.choice((0, 1, 2, 3)) if depth <= _DEEPEST else 0
        return tuple([make(self, depth + 1) for _ in range(max(length, shortest))])

    def mapping(self, key: Meta, make: _Make, depth: int) -> dict[str, Any]:
        keys = [self.text.fitting(key), *self.random.sample(_KEYS, 6)]
        return {name: make(self, depth + 1) for name in keys}

    def string(self, meta: Meta, _depth: int) -> str:
        known = self.random.choice(_WORDS)
        prefix = self.random.choice(_PREFIXES)
        name = self.random.choice(_NAMES)
        common = self.random.random()
        if common < 0.5 and meta.pattern is not None and _allows(meta, known):
            return known
        if common < 0.3 and meta is _FREE:
            return name
        return (prefix if meta.pattern is None else "") + self.text.fitting(meta)


_Make: TypeAlias = Callable[[_Maker, int], Any]
"""Makes a value of one type, at this depth."""


@cache
def _makes_of_fields(kind: type[Struct]) -> list[tuple[str, _Make]]:
    return [(name, _make_of(hint)) for name, hint in _fields(kind).items()]


@cache
def _make_of(hint: Any) -> _Make:
    """Return what makes values of a type; types are looked at once, because values have very many parts."""
    kind, meta = _split(hint)
    origin, parts = get_origin(kind), get_args(kind)
    if _is_union(kind):
        return _make_of_union(parts)
    if origin is Literal:
        return lambda maker, depth: maker.choice(parts, depth)
    if origin is tuple and parts[-1] is not Ellipsis:
        makes = list(map(_make_of, parts))
        return lambda maker, depth: maker.fixed_tuple(makes, depth)
    if origin is tuple:
        make, shortest = _make_of(parts[0]), meta.min_length or 0
        return lambda maker, depth: maker.any_tuple(make, shortest, depth)
    if origin is not None and issubclass(origin, Mapping):
        key, make = _split(parts[0])[1], _make_of(parts[1])
        return lambda maker, depth: maker.mapping(key, make, depth)
    return _make_of_simple(kind, meta)


def _make_of_union(kinds: tuple[Any, ...]) -> _Make:
    makes = [_make_of(kind) for kind in kinds if kind not in {NoneType, UnsetType}]
    absent = None if NoneType in kinds else UNSET if UnsetType in kinds else makes
    return lambda maker, depth: maker.union(makes, absent, depth)


def _make_of_simple(kind: type, meta: Meta) -> _Make:
    if issubclass(kind, Struct):
        return lambda maker, depth: maker.struct(kind, depth)
    if issubclass(kind, Enum):
        members = list(kind)
        return lambda maker, depth: maker.choice(members, depth)
    if kind is bool:
        return lambda maker, depth: maker.choice((True, False), depth)
    if kind is str:
        return lambda maker, depth: maker.string(meta, depth)
    numbers = [kind(number) for number in _NUMBERS if meta.ge is None or number >= meta.ge]
    return lambda maker, depth: maker.choice(numbers, depth)


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
