"""A request as the data of a specification."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from runner.core.template import Reference
from runner.importers.draft import Body, Part, RequestDraft, Text, written

JSON_TYPE: Final = "application/json"
_MAX_JSON_NODES: Final = 200
_MAX_JSON_DEPTH: Final = 12
_MAX_WHOLE: Final = 10**18
"""Whole numbers from here on are text to the reader of specifications."""


def as_data(request: RequestDraft, *, in_mix: bool) -> dict[str, Any]:
    """Return a request of a mix, or a step that sends it, as a specification has it."""
    data: dict[str, Any] = {"name": request.name}
    if in_mix:
        data["weight"] = number(request.weight)
    if request.method != "GET":
        data["method"] = request.method
    data |= _target(request)
    if request.headers:
        data["headers"] = {name: written(value) for name, value in request.headers}
    if request.body is not None:
        data |= _body(request.body, data)
    if request.statuses != (200,):
        data["expect"] = {"status": list(request.statuses)}
    if request.follow_redirects:
        data["follow_redirects"] = request.follow_redirects
    if in_mix:
        return data
    extract = {name: dict(one) for name, one in request.extract.items()}
    return {"request": data, "extract": extract} if extract else {"request": data}


def number(value: float) -> float:
    """Return a number as it is written: without decimal places if it is whole."""
    return round(value, 4) if value % 1 else int(value)


def texts_of(data: Any) -> Iterator[str]:
    """Yield every text in the data of a specification that is no key."""
    match data:
        case str():
            yield data
        case Mapping():
            for value in data.values():
                yield from texts_of(value)
        case list():
            for value in data:
                yield from texts_of(value)


def _target(request: RequestDraft) -> dict[str, Any]:
    """Return the keys that say what is requested; a query without proper names becomes part of the path."""
    path: dict[str, Any] = {"url": written(request.url)} if request.url else {"path": written(request.path)}
    if not request.query:
        return path
    if all(name and _is_text(name) for name, _ in request.query):
        return path | {"query": _fields(request.query)}
    key = next(iter(path))
    pairs = (f"{quote(name, safe='')}={_encoded(value)}" for name, value in request.query)
    return {key: f"{path[key]}?{'&'.join(pairs)}"}


def _encoded(value: Text) -> str:
    """Return a value percent-encoded; the engine encodes what variables insert."""
    pieces = (value,) if isinstance(value, str) else value
    return "".join(str(one) if isinstance(one, Reference) else quote(one, safe="") for one in pieces)


def _fields(pairs: Iterable[tuple[str, Text]]) -> dict[str, Any]:
    """Return name to value, or to a list of the values of a name that is repeated."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(written(name), []).append(written(value))
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}


def _body(body: Body, data: dict[str, Any]) -> dict[str, Any]:
    match body.kind:
        case "form":
            return {"form": _fields(body.content)}
        case "multipart":
            return {"multipart": [_part(part) for part in body.content]}
        case "json" if _can_be_yaml(body.content):
            return {"json": _json(body.content)}
        case "json":
            headers = data.get("headers", {})
            if not any(name.lower() == "content-type" for name in headers):
                headers = {"Content-Type": JSON_TYPE, **headers}
            text = json.dumps(_json(body.content), ensure_ascii=False, allow_nan=False)
            return {"headers": headers, "body": text}
    return {"body": written(body.content)}


def _part(part: Part) -> dict[str, Any]:
    data = {"name": written(part.name), "value": written(part.value)}
    if part.filename:
        data["filename"] = written(part.filename)
    if part.content_type:
        data["content_type"] = part.content_type
    return data


def _json(value: Any) -> Any:
    """Return a JSON value with its texts as templates."""
    match value:
        case str() | tuple():
            return written(value)
        case Mapping():
            return {written(key): _json(item) for key, item in value.items()}
        case list():
            return [_json(item) for item in value]
        case _:
            return value


def _can_be_yaml(value: Any) -> bool:
    """Return whether a JSON value can stand in a specification, which has limits and no empty keys."""
    return value is not None and _counted(value, _MAX_JSON_DEPTH) <= _MAX_JSON_NODES


def _counted(value: Any, depth: int) -> float:
    """Return how many values there are; infinity if one of them cannot be written."""
    match value:
        case Mapping():
            can_be = depth > 0 and all(key and key != "<<" and _is_text(key) for key in value)
            inside: Iterable[Any] = value.values()
        case list():
            can_be, inside = depth > 0, value
        case _:
            can_be, inside = _is_written_exactly(value), ()
    return 1 + sum(_counted(item, depth - 1) for item in inside) if can_be else math.inf


def _is_written_exactly(value: Any) -> bool:
    """Return whether a single value is read as it was written."""
    match value:
        case str():
            return _is_text(value)
        case int():
            return abs(value) < _MAX_WHOLE
        case float():
            return math.isfinite(value) and 1e-15 < abs(value) < 1e15
    return True


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)
