"""Translates pydantic's errors into our messages, each at the line that caused it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args

from runner.experiment.base_model import CONFLICT, INVALID_VALUE, Conflict, SpecModel, WhenUsed
from runner.experiment.model import STAGE_TAGS, Configuration, Experiment
from runner.experiment.overlay import SHARED
from runner.experiment.problems import Fault
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.yaml.tree import Node, find, join

CROSS_FIELD: Final = frozenset({"missing", "union_tag_not_found", CONFLICT})
"""Errors about several keys or missing ones; the merged configuration may not have them."""

_IGNORED: Final = frozenset({"default_factory_not_called"})
_QUOTED: Final = r"'([^']*)'"
_OTHER_WORDS: Final = {
    "wait": "pause", "sleep": "pause", "think": "pause", "think_time": "pause", "delay": "pause",
    "loop": "repeat", "times": "repeat", "count": "repeat", "while": "repeat", "foreach": "for_each",
    "capture": "extract", "save": "extract", "set": "extract", "random": "choose", "switch": "choose",
    "chance": "probability", "then": "steps", "do": "steps", "get": "request", "post": "request",
    "put": "request", "patch": "request", "delete": "request", "url": "request", "http": "request",
}  # fmt: skip
"""What other tools call the keys of a step."""
_PLAIN_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_OUT_OF_RANGE: Final = re.compile(
    r"[-+]?(?:[0-9]{16,}(?:\.[0-9]*)?|[0-9]*\.?[0-9]+[eE][-+]?[0-9]{2,}|\.(?:inf|Inf|INF))"
)
"""Text that is a number to YAML, but out of the range of `runner.experiment.yaml.scalars`."""
_INDEX: Final = r"\[[0-9]+\]"
_TYPES: Final = {
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
    """Yield a fault for each of pydantic's errors about the document."""
    for error in errors:
        kind, location = error["type"], list(error["loc"])
        if follows_from_another(error):
            continue
        if kind == CONFLICT:
            yield from (_conflict(tree, location, conflict) for conflict in error["ctx"]["conflicts"])
        elif kind == "extra_forbidden":
            yield _unknown_key(tree, location)
        elif kind in {"missing", "union_tag_not_found"}:
            yield _missing(tree, [*location, "kind"] if kind == "union_tag_not_found" else location)
        else:
            yield _wrong_value(tree, location, error)


def follows_from_another(error: Mapping[str, Any]) -> bool:
    """Return whether an error exists only because of another one, as that of a list without wrong entries."""
    return error["type"] in _IGNORED or (error["type"] == "too_short" and bool(error["input"]))


def _conflict(tree: Node, location: Sequence[str | int], conflict: Conflict) -> Fault:
    place = find(tree, [*location, *conflict.at])
    return Fault(place.value, place.node.path, conflict.message, conflict.hint)


def _unknown_key(tree: Node, location: Sequence[str | int]) -> Fault:
    key = str(location[-1])
    known = _known_keys(location[:-1])
    overview = f"known keys are {join_words(known, 'and')}" if known else ""
    place = find(tree, location)
    if "pause" in known and key in _OTHER_WORDS:
        return Fault(place.key, place.node.path, "unknown key", f"did you mean '{_OTHER_WORDS[key]}'?")
    hint = _elsewhere(key, place.node.path) or did_you_mean(key, known) or overview
    if key.isdecimal():
        hint = "a comma separates entries: write 4000, not 4,000"
    return Fault(place.key, place.node.path, "unknown key", hint)


def _missing(tree: Node, location: Sequence[str | int]) -> Fault:
    place = find(tree, location[:-1])
    key = str(location[-1])
    model = model_at(location[:-1])
    field = model.model_fields.get(model.fields_by_key().get(key, key)) if model else None
    hint = f"such as {key}: {_flow(field.examples[0])}" if field and field.examples else ""
    return Fault(place.value, join(place.node.path, key), "is required", hint)


def _wrong_value(tree: Node, location: Sequence[str | int], error: Mapping[str, Any]) -> Fault:
    if error["type"] == "union_tag_invalid":
        location = [*location, "kind"]
    is_key = location[-1:] == ["[key]"]
    place = find(tree, location[:-1] if is_key else location)
    message, hint = _message_and_hint(error)
    return Fault(place.key if is_key else place.value, place.node.path, message, hint)


def _message_and_hint(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with a value, and what to do."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == INVALID_VALUE:
        return context["message"], context["hint"]
    if kind in {"literal_error", "union_tag_invalid"}:
        return _not_a_choice(kind, value, context)
    if kind in _TYPES:
        return f"should be {_type_name(kind, value)}, not {display(value)}", _type_hint(kind, value)
    if kind in _BOUNDS:
        key, comparison = _BOUNDS[kind]
        return f"should be {comparison} {_grouped(context[key])}, not {display(value)}", ""
    if kind in _LENGTHS:
        return _wrong_length(*_LENGTHS[kind], context), ""
    return str(error["msg"]), ""


def _wrong_length(key: str, comparison: str, unit: str, context: Mapping[str, Any]) -> str:
    if comparison == "at least" and context[key] == 1:
        return "should not be empty"
    return f"should have {comparison} {context[key]:,} {unit}"


def _not_a_choice(kind: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    if kind == "union_tag_invalid":
        tag, kinds = context["tag"], re.findall(_QUOTED, context["expected_tags"])
        message = f"unknown kind {display(tag)}; this version supports {join_words(kinds, 'and')}"
        return message, did_you_mean(tag, kinds)
    expected = context["expected"]
    choices = re.findall(_QUOTED, expected) or [expected]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    if value in choices:  # text where a number belongs
        hint = "write it without quotes"
    return f"should be {join_words(choices)}, not {display(value)}", hint


def _type_name(kind: str, value: Any) -> str:
    is_number = (
        kind in {"int_type", "float_type"} and isinstance(value, str) and _OUT_OF_RANGE.fullmatch(value)
    )
    return _TYPES[kind].replace("number", "finite number of at most 18 digits") if is_number else _TYPES[kind]


def _type_hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    if kind in {"int_type", "float_type"} and isinstance(value, str):
        bare = value.strip().lstrip("0").replace(",", "").replace("_", "")
        return f"write {bare}" if re.fullmatch(_PLAIN_NUMBER, bare) else ""
    if kind == "tuple_type" and not isinstance(value, dict):
        return "write [a, b], or one line with '- ' per entry"
    return ""


def _grouped(number: float) -> str:
    return f"{int(number) if number == int(number) else number:,}"


def model_at(location: Sequence[str | int]) -> type[SpecModel] | None:
    """Return the model at a location, None if there is none or several."""
    models: list[type[SpecModel]] = [Experiment]
    for step in location:
        if isinstance(step, int):
            continue
        by_tag = [model for model in models if step in _tags(model)]
        annotations = [
            model.model_fields[model.fields_by_key()[step]].annotation
            for model in models
            if step in model.fields_by_key()
        ]
        below = by_tag or [model for annotation in annotations for model in _models_in(annotation)]
        models = below if annotations or by_tag else models  # the key of a mapping leads to no other model
    return models[0] if len(models) == 1 else None


def _tags(model: type[SpecModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind else (STAGE_TAGS.get(model),)


def _models_in(annotation: Any) -> list[type[SpecModel]]:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return [annotation]
    if isinstance(annotation, WhenUsed):
        model = annotation.model()
        return [model] if model else []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _known_keys(location: Sequence[str | int]) -> list[str]:
    model = model_at(location)
    if model is Experiment:
        return [*Experiment.model_fields, *SHARED]
    return list(model.fields_by_key()) if model else []


def _elsewhere(key: str, here: str) -> str:
    """Return a hint for a known key in the wrong place, or an empty string."""
    paths = _places().get(key, ())
    place = re.sub(_INDEX, "", here)
    inside = f"{place.removesuffix(key)}request.{key}"
    if inside in paths:  # of a step, whose request has keys of its own
        return f"did you mean request: {{{key}: …}}?"
    other = next((path for path in paths if not place.endswith(path)), None)
    return f"did you mean {other}?" if other else ""


@cache
def _places() -> Mapping[str, Sequence[str]]:
    """Return where each key may stand, as paths below a configuration."""
    places: dict[str, list[str]] = {}
    for path, key in _all_keys(Configuration, ""):
        if path:
            places.setdefault(key, []).append(f"{path}.{key}")
    return places


def _all_keys(
    model: type[SpecModel], path: str, around: tuple[type[SpecModel], ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield every key and the path above it; those of a model within itself only once."""
    for key, name in model.fields_by_key().items():
        yield path, key
        for below in _models_in(model.model_fields[name].annotation):
            if below not in around:
                yield from _all_keys(below, join(path, key), (*around, below))


def _flow(example: Any) -> str:
    """Return an example as a file contains it, on one line."""
    match example:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in example.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(value) for value in example) + "]"
        case str() if "{" in example:
            return f'"{example}"'
        case _:
            return str(example)
