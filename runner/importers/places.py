"""Each text of a request, by where it stands, to be replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

from runner.core.template import Reference
from runner.importers.draft import Body, Part, RequestDraft, Text, joined

_SCHEME: Final = re.compile(
    r"(?P<scheme>Basic|Bearer|Token|Digest|ApiKey|JWT) +(?P<rest>\S.*)", re.IGNORECASE
)


class Where(StrEnum):
    """The part of a request that a text stands in."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    FORM = "form"
    JSON = "json"


class Place(NamedTuple):
    """Where a text stands.

    Attributes:
        name: Of the parameter, header, field or key; of a part of a path, the path before it.
        kind: The Python type of a JSON value; `str` elsewhere.
    """

    where: Where
    name: str
    kind: type = str


Replace: TypeAlias = Callable[[Place, str], Text]
"""Returns what stands in place of a value, or the value itself."""
ReplaceObject: TypeAlias = Callable[[Mapping[str, Any]], Text | None]
"""Returns what stands in place of a whole JSON object, or None."""


def scheme_and_rest(value: str) -> tuple[str, str]:
    """Return ``Bearer `` and the credentials of an Authorization header; without a scheme, all of it."""
    matched = _SCHEME.fullmatch(value)
    return (f"{matched['scheme']} ", matched["rest"]) if matched else ("", value)


def replaced(
    request: RequestDraft, replace_text: Replace, replace_object: ReplaceObject | None = None
) -> RequestDraft:
    """Return a request with each of its values replaced, and whole objects of its JSON where they can be."""
    return replace(
        request,
        path=_path(request.path, replace_text),
        query=_pairs(request.query, Where.QUERY, replace_text),
        headers=tuple((name, _header(name, value, replace_text)) for name, value in request.headers),
        body=request.body and _body(request.body, replace_text, replace_object),
    )


def _path(path: Text, replace_text: Replace) -> Text:
    """Return a path with each of its segments replaced; those of a path with references stay."""
    if not isinstance(path, str):
        return path
    whole, mark, query = path.partition("?")
    pieces: list[Any] = []
    before = ""
    for segment in whole.split("/")[1:]:
        value = unquote(segment)
        new = replace_text(Place(Where.PATH, before or "/"), value) if segment else value
        pieces += ["/", *([segment] if new == value else _pieces(new))]
        before = f"{before}/{segment}"
    return _checked([*pieces, mark, query], path)


def _pieces(text: Text) -> list[Any]:
    return [text] if isinstance(text, str) else list(text)


def merged(pieces: Iterable[str | Reference]) -> list[str | Reference]:
    """Return pieces with neighbouring literals joined."""
    whole: list[str | Reference] = []
    for piece in pieces:
        last = whole[-1] if whole else None
        if isinstance(piece, str) and isinstance(last, str):
            whole[-1] = last + piece
        else:
            whole.append(piece)
    return whole


def _checked(pieces: list[str | Reference], original: str) -> Text:
    """Return pieces as a text; the original if they cannot be written."""
    try:
        return joined(*merged(pieces))
    except ValueError:
        return original


def _pairs(
    pairs: tuple[tuple[str, Text], ...], where: Where, replace_text: Replace
) -> tuple[tuple[str, Text], ...]:
    return tuple((name, _single(Place(where, name), value, replace_text)) for name, value in pairs)


def _single(place: Place, value: Text, replace_text: Replace) -> Text:
    return replace_text(place, value) if isinstance(value, str) and value else value


def _header(name: str, value: Text, replace_text: Replace) -> Text:
    """Return the value of a header; of credentials with a scheme, what follows that may be replaced."""
    if not isinstance(value, str) or not value:
        return value
    place = Place(Where.HEADER, name)
    scheme, rest = scheme_and_rest(value)
    if scheme:
        new = replace_text(place._replace(name=""), rest)
        if new != rest:
            return _checked([scheme, *_pieces(new)], value)
    return replace_text(place, value)


def _body(body: Body, replace_text: Replace, replace_object: ReplaceObject | None) -> Body:
    match body.kind:
        case "form":
            return Body("form", _pairs(body.content, Where.FORM, replace_text))
        case "multipart":
            return Body("multipart", tuple(_part(part, replace_text) for part in body.content))
        case "json":
            return Body("json", _json(body.content, "", replace_text, replace_object))
    return body


def _part(part: Part, replace_text: Replace) -> Part:
    if part.filename:
        return part
    return replace(part, value=_single(Place(Where.FORM, part.name), part.value, replace_text))


def _json(value: Any, key: str, replace_text: Replace, replace_object: ReplaceObject | None) -> Any:
    match value:
        case Mapping():
            if key and replace_object and (whole := replace_object(value)):
                return whole
            return {name: _json(item, name, replace_text, replace_object) for name, item in value.items()}
        case list():
            return [_json(item, key, replace_text, replace_object) for item in value]
        case str() if value:
            return replace_text(Place(Where.JSON, key), value)
        case int() if not isinstance(value, bool):
            new = replace_text(Place(Where.JSON, key, int), str(value))
            return value if isinstance(new, str) else new
    return value
