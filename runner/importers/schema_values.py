"""Values for schemas of an OpenAPI document: its examples and defaults, else the simplest ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Final

from runner.core.regex import compiled
from runner.importers.openapi_document import Document

_MAX_DEPTH: Final = 12
_MAX_VALUES: Final = 500
"""Of one body."""
_MAX_ITEMS: Final = 20
_MAX_LENGTH: Final = 2_000
_MAX_PATTERN: Final = 200
_FORMATS: Final = {
    "byte": "dGV4dA==",
    "binary": "text",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "duration": "P1D",
    "email": "user@example.com",
    "hostname": "example.com",
    "idn-email": "user@example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "iri": "https://example.com/",
    "json-pointer": "/a",
    "regex": "a",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "url": "https://example.com/",
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
}
_TEXT: Final = "string"


class Values:
    """Returns values for schemas.

    Attributes:
        invented: Whether a value since it was last reset is neither an example nor a default.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = _MAX_VALUES
        self.invented = False

    def value(self, schema: Any) -> Any:
        """Return a JSON value that is valid for a schema, if that asks for nothing unusual."""
        self._left = _MAX_VALUES
        return self._value(schema, _MAX_DEPTH)

    def whole(self, schema: Any) -> Mapping[str, Any]:
        """Return a schema with what it consists of: all of `allOf`, the first of `oneOf` and `anyOf`."""
        self._left = _MAX_VALUES
        return self._whole(schema, _MAX_DEPTH)

    def known(self, schema: Mapping[str, Any]) -> list[Any]:
        """Return the values that a schema names itself, the best first; empty if it names none."""
        found = self._document.examples(schema)
        found += [schema[key] for key in ("default", "const") if key in schema]
        choices = schema.get("enum")
        return found + [one for one in choices if one is not None] if isinstance(choices, list) else found

    def _whole(self, schema: Any, depth: int) -> Mapping[str, Any]:
        own = self._document.mapping(schema)
        self._left -= 1
        if self._left < 0 or depth == 0 or not any(key in own for key in ("allOf", "oneOf", "anyOf")):
            return own
        parts = [self._whole(one, depth - 1) for one in _listed(own.get("allOf"))]
        for key in ("oneOf", "anyOf"):
            options = [self._whole(one, depth - 1) for one in _listed(own.get(key))[:_MAX_ITEMS]]
            parts += [one for one in options if one.get("type") != "null"][:1]
        parts.append({key: value for key, value in own.items() if key not in {"allOf", "oneOf", "anyOf"}})
        return _merged(parts)

    def _value(self, schema: Any, depth: int) -> Any:
        whole = self._whole(schema, depth)
        self._left -= 1
        if known := self.known(whole):
            return known[0]
        if depth == 0 or self._left < 0:
            return None
        kind = _kind(whole)
        if kind == "object":
            return self._object(whole, depth)
        if kind == "array":
            return self._array(whole, depth)
        self.invented = True
        return _single(kind, whole)

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        count = min(max(_whole_number(schema.get("minItems"), 0), 1), _MAX_ITEMS)
        firsts = _listed(schema.get("prefixItems"))[:count]
        items = [*firsts, *[schema.get("items", {})] * (count - len(firsts))]
        if schema.get("uniqueItems") is True and count > 1:
            choices = self.known(self._whole(schema.get("items"), depth))
            different = [one for at, one in enumerate(choices) if one not in choices[:at]]
            if len(different) >= count:
                return different[:count]
        return [self._value(one, depth - 1) for one in items]

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = {name for name in _listed(schema.get("required")) if isinstance(name, str)}
        content = {}
        for name, one in properties.items():
            inside = self._document.mapping(one)
            needed = name in required or (not required and depth > _MAX_DEPTH // 2)
            if inside.get("readOnly") is not True and (needed or self._document.examples(inside)):
                content[name] = self._value(one, depth - 1)
        for name in required - properties.keys():
            content[name] = self._value(schema.get("additionalProperties"), depth - 1)
        if not content and _whole_number(schema.get("minProperties"), 0) > 0:
            content["key"] = self._value(schema.get("additionalProperties"), depth - 1)
        return content


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _merged(schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one schema for several that hold together; of other keywords, the last one counts."""
    whole: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: list[Any] = []
    for one in schemas:
        whole.update(one)
        if isinstance(one.get("properties"), Mapping):
            properties.update(one["properties"])
        required += _listed(one.get("required"))
    if properties:
        whole["properties"] = properties
    if required:
        whole["required"] = required
    return whole


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema: of several, the first that is not null; of none, what the rest implies."""
    named = schema.get("type")
    kinds = [one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str)]
    kinds = [one for one in kinds if one != "null"] or kinds
    if kinds:
        return kinds[0]
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _single(kind: str, schema: Mapping[str, Any]) -> Any:
    match kind:
        case "boolean":
            return True
        case "null":
            return None
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
    return _string(schema)


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    """Return 1 if it is within the bounds, else a number between them, as the multiple that is asked for."""
    low, high = _real(schema.get("minimum"), -math.inf), _real(schema.get("maximum"), math.inf)
    exclusive = (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"))
    low = max(low, _real(exclusive[0], -math.inf))
    high = min(high, _real(exclusive[1], math.inf))
    if whole:
        low = (
            low
            if math.isinf(low)
            else math.floor(low) + 1
            if _is_outside(exclusive[0], low)
            else math.ceil(low)
        )
        high = (
            high
            if math.isinf(high)
            else math.ceil(high) - 1
            if _is_outside(exclusive[1], high)
            else math.floor(high)
        )
        value: float = min(max(1, low), high)
    elif low < 1 < high:
        value = 1
    elif math.isfinite(low) and math.isfinite(high):
        value = (low + high) / 2
    else:
        value = low + 1 if math.isfinite(low) else high - 1
    multiple = _real(schema.get("multipleOf"), 0)
    if multiple > 0 and math.isfinite(value / multiple):
        value = math.ceil(round(value / multiple, 6)) * multiple
    if not math.isfinite(value):
        return 1
    return int(value) if value == int(value) else round(value, 9)


def _is_outside(exclusive: Any, bound: float) -> bool:
    """Return whether a bound itself is excluded: by true in OpenAPI 3.0, by the number itself in 3.1."""
    return exclusive is True or (exclusive is not None and _real(exclusive, math.nan) == bound)


def _real(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _whole_number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _string(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and (text := _matching(pattern)):
        return text
    text = (
        _FORMATS.get(schema.get("format", ""), _TEXT) if isinstance(schema.get("format", ""), str) else _TEXT
    )
    shortest = min(max(_whole_number(schema.get("minLength"), 0), 0), _MAX_LENGTH)
    longest = max(_whole_number(schema.get("maxLength"), _MAX_LENGTH), 0)
    return (text * (shortest // len(text) + 1))[: max(shortest, min(len(text), longest))]


class _Lowest(Random):
    """Chooses the shortest and simplest, so that the same pattern always has the same text."""

    def randint(self, a: int, b: int) -> int:
        del b
        return a

    def choice(self, seq: Any) -> Any:
        return min(seq, key=lambda one: (not (isinstance(one, str) and one.isalnum()), str(one)))


def _matching(pattern: str) -> str:
    """Return a text that matches a regular expression; empty if there is none that can be found simply."""
    import rstr  # noqa: PLC0415  (only documents with patterns pay for it)

    if len(pattern) > _MAX_PATTERN:
        return ""
    try:
        matches = compiled(pattern)  # RE2 refuses what would become too large
        text = rstr.Rstr(_Lowest()).xeger(pattern)
    except (ValueError, re.error, RecursionError, IndexError, KeyError, TypeError, OverflowError):
        return ""
    return text if len(text) <= _MAX_LENGTH and matches(text.encode("utf-8", "replace")) else ""
