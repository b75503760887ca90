"""Every field of the types of results and one place of each in results.json, found by walking the types."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, inspect

from runner.core.results import Results
from runner.store.results_file import parse_results

RESULTS = Path(__file__).parents[1] / "results"
_ALL = inspect.type_info(Results)
_MOST_LEVELS = 30


@dataclass(frozen=True)
class Place:
    """Where one field of a type occurs.

    Attributes:
        document: Number of the document in `documents`.
        path: Keys and indices.
        owner: Name of the type.
        field: Name of the field.
    """

    document: int
    path: tuple[str | int, ...]
    owner: str
    field: str

    @property
    def shown(self) -> str:
        """The path as messages show it, without keys of dictionaries."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")


@cache
def documents() -> tuple[Any, ...]:
    """Shortened results of real runs, and a made-up one with the fields that they lack."""
    real = [_shortened(name) for name in ("docker-4k", "hop-ladder", "capacity", "replicas-usl")]
    missing = set(fields()) - {place[1:] for document in real for place in _walk(document, _ALL, ())}
    return (*real, _made_up(missing))


def _made_up(wanted: set[tuple[str, str]]) -> Any:
    """The least deep document with a place for all of these fields."""
    for levels in range(_MOST_LEVELS):
        document = _example(_ALL, levels)
        if wanted <= {place[1:] for place in _walk(document, _ALL, ())}:
            return document
    raise AssertionError(f"no document of {_MOST_LEVELS} levels has the fields {wanted}")


def _shortened(name: str) -> Any:
    """A run with two stages per configuration, among them one with a counter-experiment where it has one."""
    file = RESULTS / f"{name}.json"
    results = msgspec.to_builtins(parse_results(file.read_bytes(), file))
    for configuration in results["configurations"]:
        stages = sorted(configuration["stages"], key=lambda it: "counter_experiment" not in it["verdict"])
        configuration["stages"] = stages[:2]
        for stage in stages[:2]:
            stage |= {
                field: stage[field][:3]
                for field in ("timeseries", "counters", "distribution")
                if stage[field]
            }
    results["configurations"] = results["configurations"][:2]
    return json.loads(json.dumps(results))


def _example(kind: inspect.Type, levels: int) -> Any:  # noqa: C901, PLR0911  (one case per kind of type)
    """A value of a type in which every optional field is present, down to a level."""
    match kind:
        case inspect.StructType(fields=fields):
            return {
                field.encode_name: _example(field.type, levels - 1)
                for field in fields
                if field.required or levels > 0
            }
        case inspect.UnionType(types=types):
            given = [inner for inner in types if not isinstance(inner, inspect.NoneType | inspect.CustomType)]
            nullable = len(given) < len(types)
            return None if nullable and levels <= 0 else _example(given[0], levels)
        case inspect.Metadata(type=inner):
            return _example(inner, levels)
        case inspect.VarTupleType(item_type=item, min_length=least):
            return [] if levels <= 0 and not least else [_example(item, levels - 1)]
        case inspect.TupleType(item_types=items):
            return [_example(item, levels - 1) for item in items]
        case inspect.DictType(key_type=key, value_type=value):
            return {_example(key, levels): _example(value, levels - 1)}
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.StrType():
            return "word"
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 1
        case inspect.FloatType():
            return 1.5
    raise AssertionError(f"no example of {kind}")


@cache
def places() -> tuple[Place, ...]:
    """One place for every field of every type."""
    found: dict[tuple[str, str], Place] = {}
    for number, document in enumerate(documents()):
        for path, owner, field in _walk(document, inspect.type_info(Results), ()):
            found.setdefault((owner, field), Place(number, path, owner, field))
    return tuple(found.values())


def _walk(  # noqa: C901  (one case per kind of type)
    value: Any, kind: inspect.Type, path: tuple[str | int, ...]
) -> Iterator[tuple[Any, str, str]]:
    match kind:
        case inspect.StructType(cls=cls, fields=fields) if isinstance(value, dict):
            for field in fields:
                if field.encode_name in value:
                    inner = (*path, field.encode_name)
                    yield inner, cls.__name__, field.encode_name
                    yield from _walk(value[field.encode_name], field.type, inner)
        case inspect.UnionType(types=types) if value is not None:
            for inner in types:
                yield from _walk(value, inner, path)
        case inspect.Metadata(type=inner):
            yield from _walk(value, inner, path)
        case inspect.VarTupleType(item_type=item) if isinstance(value, list):
            for index, element in enumerate(value):
                yield from _walk(element, item, (*path, index))
        case inspect.TupleType(item_types=items) if isinstance(value, list):
            for index, (element, item) in enumerate(zip(value, items, strict=True)):
                yield from _walk(element, item, (*path, index))
        case inspect.DictType(value_type=item) if isinstance(value, dict):
            for key, element in value.items():
                yield from _walk(element, item, (*path, key))


def fields(kind: inspect.Type | None = None, seen: set[type] | None = None) -> Iterator[tuple[str, str]]:
    """Owner and name of every field of every type, whether or not a document has it."""
    seen = set() if seen is None else seen
    match kind or inspect.type_info(Results):
        case inspect.StructType(cls=cls, fields=own) if cls not in seen:
            seen.add(cls)
            for field in own:
                yield cls.__name__, field.encode_name
                yield from fields(field.type, seen)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from fields(inner, seen)
        case (
            inspect.Metadata(type=inner)
            | inspect.VarTupleType(item_type=inner)
            | inspect.DictType(value_type=inner)
        ):
            yield from fields(inner, seen)
        case inspect.TupleType(item_types=items):
            for inner in items:
                yield from fields(inner, seen)


def changed(place: Place, value: Any = UNSET) -> Any:
    """The document with another value at a place, or without that key."""
    *steps, last = place.path
    document = holder = copy.copy(documents()[place.document])
    for step in steps:  # only what holds the place is copied: the rest of the document is read, not written
        holder[step] = copy.copy(holder[step])
        holder = holder[step]
    if value is UNSET:
        del holder[last]
    else:
        holder[last] = value
    return document


def with_text(number: int, text: str) -> Any:
    """A document in which every free text is replaced; identifiers and codes, which readers check, stay."""
    return _with_text(documents()[number], inspect.type_info(Results), text)


def _with_text(value: Any, kind: inspect.Type, text: str) -> Any:  # noqa: PLR0911  (one case per kind of type)
    match kind:
        case inspect.StrType(pattern=None) if isinstance(value, str):
            return text
        case inspect.StructType(fields=own) if isinstance(value, dict):
            types = {field.encode_name: field.type for field in own}
            return {key: _with_text(inner, types[key], text) for key, inner in value.items()}
        case inspect.UnionType(types=types):
            for inner in types:
                value = _with_text(value, inner, text)
            return value
        case inspect.Metadata(type=inner):
            return _with_text(value, inner, text)
        case inspect.VarTupleType(item_type=item) if isinstance(value, list):
            return [_with_text(element, item, text) for element in value]
        case inspect.TupleType(item_types=items) if isinstance(value, list):
            return [_with_text(element, item, text) for element, item in zip(value, items, strict=True)]
        case inspect.DictType(key_type=key, value_type=item) if isinstance(value, dict):
            return {
                _with_text(name, key, text): _with_text(element, item, text)
                for name, element in value.items()
            }
    return value
