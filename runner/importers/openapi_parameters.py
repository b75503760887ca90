"""Values of parameters as they are sent, in the styles of OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.importers.draft import Text


def serialized(
    name: str, value: Any, parameter: Mapping[str, Any], *, is_known: bool
) -> dict[str, tuple[Any, bool]]:
    """Return what a parameter is sent as: lists of a query as several values, else with commas."""
    place = parameter.get("in")
    if place == "query" and isinstance(value, Mapping):
        deep = parameter.get("style") == "deepObject"
        return {
            f"{name}[{key}]" if deep else str(key): (text_of(one), is_known) for key, one in value.items()
        }
    if place == "query" and isinstance(value, list) and parameter.get("explode") is not False:
        return {name: ([text_of(one) for one in value], is_known)}
    if isinstance(value, list):
        return {name: (",".join(map(text_of, value)), is_known)}
    return {name: (text_of(value), is_known)}


def flat(values: Mapping[str, tuple[Any, bool]]) -> list[tuple[str, Text]]:
    """Return names and values, a name again for each of its values."""
    pairs: list[tuple[str, Text]] = []
    for name, (value, _) in values.items():
        pairs += [(name, one) for one in value] if isinstance(value, list) else [(name, value)]
    return pairs


def text_of(value: Any) -> str:
    """Return a JSON value as the text of a parameter."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
