"""Pydantic's errors in our words, each at the line that caused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from runner.experiment.base_model import Conflict, Part
from runner.experiment.model import STAGE_TAGS, Configuration, Experiment
from runner.experiment.overlay import SHARED
from runner.experiment.problems import Fault
from runner.experiment.suggestions import did_you_mean, either, shown
from runner.experiment.yaml.tree import Node, find, join

CROSS_FIELD: Final = frozenset({"missing", "union_tag_not_found", "conflict"})
"""Errors that say something is not there (yet), rather than that something is wrong."""

_SILENT: Final = frozenset({"default_factory_not_called"})
_QUOTED: Final = re.compile(r"'([^']*)'")
_PLAIN_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_SHAPES: Final = {
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS: Final = {
    "too_short": ("min_length", "at least", "entries"),
    "too_long": ("max_length", "at most", "entries"),
    "string_too_short": ("min_length", "at least", "characters"),
    "string_too_long": ("max_length", "at most", "characters"),
}


def explain(tree: Node, errors: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """A fault for each error.

    Args:
        tree: What was validated.
        errors: As `pydantic.ValidationError.errors` returns them.
    """
    for error in errors:
        kind, location = error["type"], list(error["loc"])
        if kind in _SILENT or _follows_from_others(error):
            continue
        if kind == "conflict":
            yield from (_conflict(tree, location, conflict) for conflict in error["ctx"]["conflicts"])
        elif kind == "extra_forbidden":
            yield _unknown_key(tree, location)
        elif kind in {"missing", "union_tag_not_found"}:
            yield _missing(tree, [*location, "kind"] if kind == "union_tag_not_found" else location)
        else:
            yield _wrong_value(tree, location, error)


def _follows_from_others(error: Mapping[str, Any]) -> bool:
    """Pydantic also calls a list too short when its entries are wrong."""
    return error["type"] == "too_short" and bool(len(error["input"]))


def _conflict(tree: Node, location: Sequence[str | int], conflict: Conflict) -> Fault:
    place = find(tree, [*location, *conflict.at])
    return Fault(place.value, place.node.path, conflict.message, conflict.hint)


def _unknown_key(tree: Node, location: Sequence[str | int]) -> Fault:
    key = str(location[-1])
    known = _known_keys(location[:-1])
    here = f"keys here are {either(known, 'and')}" if known else ""
    place = find(tree, location)
    hint = _elsewhere(key, place.node.path) or did_you_mean(key, known) or here
    if key.isdecimal():
        hint = "a comma begins a new entry: write 4000, not 4,000"
    return Fault(place.key, place.node.path, "unknown key", hint)


def _missing(tree: Node, location: Sequence[str | int]) -> Fault:
    place = find(tree, location[:-1])
    key = str(location[-1])
    part = _part_at(location[:-1])
    field = part.model_fields.get(key) if part else None
    hint = f"such as {key}: {_flow(field.examples[0])}" if field and field.examples else ""
    return Fault(place.value, join(place.node.path, key), "is required", hint)


def _wrong_value(tree: Node, location: Sequence[str | int], error: Mapping[str, Any]) -> Fault:
    if error["type"] == "union_tag_invalid":
        location = [*location, "kind"]
    is_key = location[-1:] == ["[key]"]
    place = find(tree, location[:-1] if is_key else location)
    message, hint = _words(error)
    return Fault(place.key if is_key else place.value, place.node.path, message, hint)


def _words(error: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a value, and what to do."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "complaint":
        return context["message"], context["hint"]
    if kind in {"literal_error", "union_tag_invalid"}:
        return _not_a_choice(kind, value, context)
    if kind in _SHAPES:
        return f"should be {_SHAPES[kind]}, not {shown(value)}", _shape_hint(kind, value)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"should be {words} {_grouped(context[key])}, not {shown(value)}", ""
    if kind in _LENGTHS:
        key, words, unit = _LENGTHS[kind]
        least_one = words == "at least" and context[key] == 1
        return "should not be empty" if least_one else f"should have {words} {context[key]:,} {unit}", ""
    return str(error["msg"]), ""


def _not_a_choice(kind: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    if kind == "union_tag_invalid":
        value, expected = context["tag"], context["expected_tags"]
    else:
        expected = context["expected"]
    choices = _QUOTED.findall(expected) or [expected]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"should be {either(choices)}, not {shown(value)}", hint


def _shape_hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    if kind in {"int_type", "float_type"} and isinstance(value, str):
        bare = value.strip().lstrip("0").replace(",", "").replace("_", "")
        return f"write {bare}" if _PLAIN_NUMBER.fullmatch(bare) else ""
    if kind == "tuple_type" and not isinstance(value, dict):
        return "write [a, b], or one '- ' line an entry"
    return ""


def _grouped(number: float) -> str:
    return f"{int(number) if number == int(number) else number:,}"


def _part_at(location: Sequence[str | int]) -> type[Part] | None:
    """The model at a location, None when there is none or several."""
    parts: list[type[Part]] = [Experiment]
    for step in location:
        if isinstance(step, int):
            continue
        by_tag = [part for part in parts if step in _tags(part)]
        annotations = [part.model_fields[step].annotation for part in parts if step in part.model_fields]
        parts = by_tag or [part for annotation in annotations for part in _parts_in(annotation)]
    return parts[0] if len(parts) == 1 else None


def _tags(part: type[Part]) -> tuple[Any, ...]:
    kind = part.model_fields.get("kind")
    return get_args(kind.annotation) if kind else (STAGE_TAGS.get(part),)


def _parts_in(annotation: Any) -> list[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [part for argument in get_args(annotation) for part in _parts_in(argument)]


def _known_keys(location: Sequence[str | int]) -> list[str]:
    part = _part_at(location)
    if part is Experiment:
        return [*Experiment.model_fields, *SHARED]
    return list(part.model_fields) if part else []


def _elsewhere(key: str, here: str) -> str:
    """Where a key belongs that is right but in the wrong place."""
    paths = (f"{path}.{name}" for path, name in _all_keys(Configuration, "") if name == key and path)
    found = next((path for path in paths if not _INDEX.sub("", here).endswith(path)), None)
    return f"did you mean {found}?" if found else ""


def _all_keys(part: type[Part], path: str) -> Iterator[tuple[str, str]]:
    for key, field in part.model_fields.items():
        yield path, key
        for below in _parts_in(field.annotation):
            yield from _all_keys(below, join(path, key))


def _flow(example: Any) -> str:
    """An example as one would write it in a file, on one line."""
    match example:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in example.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(value) for value in example) + "]"
        case str() if "{" in example:
            return f'"{example}"'
        case _:
            return str(example)
