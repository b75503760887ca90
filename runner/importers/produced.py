"""The values that a response contains, and the expressions that find them there again."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urldefrag, urljoin

import msgspec

from runner.core.jsonpath import steps_of
from runner.core.regex import first_group
from runner.importers.bodies import is_json
from runner.importers.draft import Extract
from runner.importers.har_exchanges import Exchange
from runner.importers.json_text import decoded
from runner.importers.page_values import page_values

_MAX_VALUES: Final = 5_000
"""Of one response."""
_MAX_VALUE: Final = 4_000
_MAX_FIELDS: Final = 200
_MAX_OBJECTS: Final = 1_000
_MAX_OBJECT: Final = 100_000
_FEWEST: Final = 2
_MAX_DEPTH: Final = 30
_TAG: Final = re.compile(r"<(?:input|meta|button)\b[^<>]{1,4000}>", re.IGNORECASE)
_FORM: Final = re.compile(r"<form\b[^<>]{1,4000}>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([a-zA-Z_:-]{1,40})\s*=\s*("[^"<>]*"|'[^'<>]*')""")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PAIR: Final = re.compile(r"[?&#]([A-Za-z0-9_.-]{1,60})=([A-Za-z0-9_.~-]{1,2000})(?=[&#]|$)")
"""A pair in a URL that is not encoded."""
_COMMON_HEADERS: Final = re.compile(
    r"date|content-.*|cache-control|expires|server|vary|age|via|location|set-cookie|connection|keep-alive"
    r"|strict-transport-security|access-control-.*|alt-svc|x-powered-by|last-modified|pragma|transfer-encoding",
    re.IGNORECASE,
)


class Produced(NamedTuple):
    """A value of a response.

    Attributes:
        value: As text.
        kind: Its type in JSON; `str` of all else.
        key: What the response calls it: the JSON key, the header, the field.
        owner: The key of the JSON object that it belongs to; empty at the top.
        extract: Where it stands, with the keys of a specification.
        is_field: Whether it is a field of a form, or stands in a link, which a browser sends by itself.
        path: Of a part of the path of a link: the whole path before it; empty otherwise.
    """

    value: str
    kind: type
    key: str
    extract: Extract
    owner: str = ""
    is_field: bool = False
    path: str = ""


def produced(exchange: Exchange) -> list[Produced]:
    """Return the values of a response that something may be sent back of, in a fixed order."""
    body, content_type = exchange.body, exchange.content_type
    values = [*_headers(exchange.headers), *(one for line in exchange.set_cookies for one in _cookies(line))]
    if is_json(content_type):
        values += islice(_leaves(document_of(body), "$", ("", ""), _MAX_DEPTH), _MAX_VALUES)
    elif "html" in content_type.lower():
        values += [*_fields(body), *_in_page(body)]
    return [one for one in values[:_MAX_VALUES] if 0 < len(one.value) <= _MAX_VALUE]


def objects(exchange: Exchange) -> Iterator[tuple[bytes, str, Extract]]:
    """Yield the JSON objects of a response that something depends on: packed, with their keys and places.

    Only those with two values or more count: a smaller one may be the same by chance.
    """
    if is_json(exchange.content_type) and len(exchange.body) <= _MAX_OBJECT:
        document = document_of(exchange.body)
        yield from islice(_objects(document, "$", "", _MAX_DEPTH), _MAX_OBJECTS)


def packed(content: Mapping[str, Any]) -> bytes:
    """Return a JSON object as bytes that are equal for equal objects."""
    return msgspec.json.encode(content, order="sorted")


def _objects(value: Any, path: str, key: str, depth: int) -> Iterator[tuple[bytes, str, Extract]]:
    if isinstance(value, Mapping) and _content_count(value) >= _FEWEST:
        yield packed(value), key, {"json": path}
    if depth:
        for step, name, item in _parts(value, key):
            yield from _objects(item, path + step, name, depth - 1)


def _content_count(value: Mapping[str, Any]) -> int:
    """Return how many of its values are not empty."""
    return sum(1 for item in value.values() if item not in (None, "", [], {}))


def _parts(value: Any, key: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the step of a JSONPath to each part of a value, its key, and the part."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if _PLAIN_KEY.fullmatch(name):
                yield f".{name}", name, item
            elif steps_of(f"$[{json.dumps(name, ensure_ascii=False)}]") is not None:
                yield f"[{json.dumps(name, ensure_ascii=False)}]", name, item
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield f"[{index}]", key, item


def leaves(
    value: Any, path: str = "$", key: str = "", depth: int = _MAX_DEPTH
) -> Iterator[tuple[str, str, Any]]:
    """Yield path, key and value of each single value in a JSON document."""
    if not isinstance(value, Mapping | list):
        yield path, key, value
    elif depth:
        for step, name, item in _parts(value, key):
            yield from leaves(item, path + step, name, depth - 1)


def document_of(body: str) -> Any:
    """Return the JSON document in a body; None if it is none."""
    try:
        return decoded(body)
    except ValueError:
        return None


def _headers(headers: Iterable[tuple[str, str]]) -> Iterator[Produced]:
    for name, value in headers:
        if _TOKEN.fullmatch(name) and not _COMMON_HEADERS.fullmatch(name):
            yield Produced(value.strip(), str, name, {"header": name})
        elif name.lower() == "location":
            for key, given in _PAIR.findall(value[:_MAX_VALUE]):
                regex = f"[?&#]{re.escape(key)}=([^&#]*)"
                yield Produced(given, str, key, {"header": "Location", "regex": regex}, is_field=True)


def _cookies(header: str) -> Iterator[Produced]:
    """Yield cookies, which scripts of a page send back in headers too."""
    for line in header.split("\n"):
        try:
            cookie = SimpleCookie(line[:_MAX_VALUE])
        except CookieError:
            continue
        for name, morsel in cookie.items():
            yield Produced(morsel.value, str, name, {"cookie": name})


def _leaves(value: Any, path: str, keys: tuple[str, str], depth: int) -> Iterator[Produced]:
    """Yield the texts and whole numbers of a document; `keys` are those of the object and of the value."""
    owner, key = keys
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield Produced(str(value), type(value), key, {"json": path}, owner)
    elif depth:
        for step, name, item in _parts(value, key):
            inside = keys if isinstance(value, list) else (key, name)
            yield from _leaves(item, path + step, inside, depth - 1)


def _fields(body: str) -> Iterator[Produced]:
    """Yield hidden fields of forms, and the tokens that pages keep in `meta` elements for their scripts."""
    text = body.encode()
    for tag in _TAG.findall(body)[:_MAX_FIELDS]:
        attributes = {name.lower(): (name, quoted) for name, quoted in _ATTRIBUTE.findall(tag)}
        content = attributes.get("content" if tag[1:5].lower() == "meta" else "value")
        name = attributes.get("name") or attributes.get("property")
        if name is None or content is None or len(name[1]) <= 2:
            continue
        if "content" not in attributes and _bare(attributes.get("type")) not in {"hidden", "submit"}:
            continue
        value = html.unescape(content[1][1:-1])
        regex = _expression(tag, name, content)
        if regex and first_group(regex, text) == content[1][1:-1].encode():
            yield Produced(value, str, html.unescape(name[1][1:-1]), {"regex": regex}, is_field=True)


def _in_page(body: str) -> Iterator[Produced]:
    """Yield values of links and scripts; where a script has a number, a later request may send text."""
    for one in page_values(body):
        extract = {"regex": one.regex}
        yield Produced(one.value, one.kind, one.key, extract, one.owner, is_field=one.is_link, path=one.path)


def form_action(exchange: Exchange, url: str) -> Extract | None:
    """Return the expression for the address of a form, if a page has one that leads to a URL with a query."""
    if "html" not in exchange.content_type.lower() or "?" not in url:
        return None
    text = exchange.body.encode()
    for tag in _FORM.findall(exchange.body):
        action = next((quoted for name, quoted in _ATTRIBUTE.findall(tag) if name.lower() == "action"), "")
        regex = f"<form[^>]*? action={action[:1]}([^{action[:1]}]*){action[:1]}"
        if action and _same_url(exchange.url, html.unescape(action[1:-1]), url):
            return {"regex": regex} if first_group(regex, text) == action[1:-1].encode() else None
    return None


def _same_url(base: str, reference: str, url: str) -> bool:
    try:
        return urldefrag(urljoin(base, reference))[0] == urldefrag(url)[0]
    except ValueError:
        return False


def _bare(attribute: tuple[str, str] | None) -> str:
    return attribute[1][1:-1].lower() if attribute else ""


def _expression(tag: str, name: tuple[str, str], content: tuple[str, str]) -> str:
    """Return a regular expression for the value of a tag; empty if it would be too long."""
    quote = content[1][0]
    named = re.escape(f"{name[0]}={name[1]}")
    group = f"{re.escape(content[0])}={quote}([^{quote}]*){quote}"
    first = tag.index(name[1]) <= tag.index(content[1])
    regex = f"{named}[^>]*?{group}" if first else f"{group}[^>]*?{named}"
    return regex.replace('\\"', '"').replace("\\'", "'") if len(regex) <= 500 else ""
