"""One request of a Postman collection: its URL, headers and body in all the forms that these can have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from runner.core.template import Reference
from runner.importers.bodies import FILE_CONTENT, is_json, media_type
from runner.importers.draft import Body, Part, Text
from runner.importers.json_text import decoded
from runner.importers.postman_model import entries_of, text_of
from runner.importers.postman_texts import Texts
from runner.importers.urls import target_of

_URL: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?![a-zA-Z][a-zA-Z0-9+.-]*://)(?P<host>[^/?#{}\s]*|\{\{[^{}]+\}\}(?::[0-9]{1,5})?)(?P<path>/[^?#]*)?"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL,
)
_NOT_IN_PATH: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "").replace("?", "")
_LANGUAGES: Final = {
    "json": "application/json", "xml": "application/xml", "html": "text/html", "text": "text/plain",
    "javascript": "application/javascript",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request sends.

    Attributes:
        origin: Empty if its host is a variable without a value.
        auth: Its own, in the form of the collection.
    """

    method: str
    origin: str
    path: Text
    query: tuple[tuple[str, Text], ...]
    headers: tuple[tuple[str, Text], ...]
    body: Body | None
    auth: Any


def sent_of(request: Any, texts: Texts, note: Callable[[str], None]) -> Sent | None:
    """Return what a request sends; None if its URL cannot be read.

    Args:
        request: A URL as a text, or an object.
        texts: Replace the variables.
        note: Receives what differs from the collection.
    """
    parts: Mapping[str, Any] = request if isinstance(request, Mapping) else {"url": request}
    url = parts.get("url")
    matched = _URL.fullmatch(texts.plain(_url(url))[:8000])
    if matched is None:
        return None
    scheme, host = matched["scheme"] or "http", matched["host"]
    origin = "" if "{{" in host or not host else f"{scheme}://{host}"
    target = target_of(origin) if origin else None
    if origin and target is None:
        return None
    body = _body(parts.get("body"), texts, note)
    return Sent(
        method=(text_of(parts.get("method")) or "GET").upper(),
        origin=target.origin if target else "",
        path=_path(matched["path"] or "/", url, texts),
        query=tuple(_query(url, matched["query"] or "", texts)),
        headers=tuple(_headers(parts.get("header"), body, parts.get("body"), texts)),
        body=body,
        auth=parts.get("auth"),
    )


def _url(url: Any) -> str:
    """Return a URL as a text, from an object without one too."""
    if not isinstance(url, Mapping):
        return text_of(url)
    if raw := text_of(url.get("raw")):
        return raw
    host, path = url.get("host"), url.get("path")
    name = ".".join(map(text_of, host)) if isinstance(host, list) else text_of(host)
    port = f":{text_of(url.get('port'))}" if url.get("port") else ""
    whole = "/".join(_segment(one) for one in path) if isinstance(path, list) else text_of(path).lstrip("/")
    return f"{text_of(url.get('protocol')) or 'http'}://{name}{port}/{whole}"


def _segment(part: Any) -> str:
    return text_of(part.get("value")) if isinstance(part, Mapping) else text_of(part)


def _path(path: str, url: Any, texts: Texts) -> Text:
    """Return a path with its variables, also those that are written ``:name``."""
    own = entries_of(url.get("variable")) if isinstance(url, Mapping) else {}
    segments = path.split("/")
    for index, segment in enumerate(segments):
        if segment.startswith(":") and len(segment) > 1:
            segments[index] = own.get(segment[1:]) or f"{{{{{segment[1:]}}}}}"
    text = texts.text("/".join(segments))
    pieces = (text,) if isinstance(text, str) else text
    encoded = tuple(one if isinstance(one, Reference) else quote(one, safe=_NOT_IN_PATH) for one in pieces)
    return encoded[0] if len(encoded) == 1 and isinstance(encoded[0], str) else encoded


def _query(url: Any, query: str, texts: Texts) -> list[tuple[str, Text]]:
    """Return the parameters: those listed, which say what is disabled, else those of the text."""
    listed = url.get("query") if isinstance(url, Mapping) else None
    if isinstance(listed, list):
        pairs = [
            (text_of(one.get("key")), text_of(one.get("value")))
            for one in listed
            if isinstance(one, Mapping) and not one.get("disabled")
        ]
    else:
        pairs = [(name, value) for name, _, value in (one.partition("=") for one in query.split("&"))]
    return [(texts.plain(unquote(name)), texts.text(unquote(value))) for name, value in pairs if name]


def _headers(listed: Any, body: Body | None, own: Any, texts: Texts) -> list[tuple[str, Text]]:
    """Return the headers; the engine sends the type of forms and JSON itself."""
    if isinstance(listed, str):
        lines = (line.partition(":") for line in listed.splitlines())
        listed = [{"key": name.strip(), "value": value.strip()} for name, _, value in lines]
    entries = {texts.plain(name): texts.text(value.strip()) for name, value in entries_of(listed).items()}
    headers = []
    for name, value in entries.items():
        kind = media_type(value) if isinstance(value, str) else ""
        implied = body and (
            body.kind in {"form", "multipart"} or (body.kind == "json" and kind == "application/json")
        )
        if name.lower() != "content-type" or not implied:
            headers.append((name, value))
    if body and body.kind == "body" and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", _language(own)))
    return headers


def _language(body: Any) -> str:
    """Return the media type of a raw body; that of GraphQL is JSON."""
    if isinstance(body, Mapping) and body.get("mode") == "graphql":
        return "application/json"
    options = body.get("options") if isinstance(body, Mapping) else None
    raw = options.get("raw") if isinstance(options, Mapping) else None
    return _LANGUAGES.get(text_of(raw.get("language")) if isinstance(raw, Mapping) else "", "text/plain")


def _body(body: Any, texts: Texts, note: Callable[[str], None]) -> Body | None:
    if not isinstance(body, Mapping) or body.get("disabled"):
        return None
    mode = body.get("mode")
    content = body.get(mode) if isinstance(mode, str) else None
    if mode == "file":
        note(f"the content of files is not in a collection, '{FILE_CONTENT}' is sent")
        return Body("body", FILE_CONTENT)
    if mode == "formdata":
        return _multipart(content, texts, note)
    if mode == "urlencoded":
        pairs = entries_of(content).items()
        return Body("form", tuple((texts.plain(name), texts.text(value)) for name, value in pairs))
    if mode == "graphql" and isinstance(content, Mapping):
        return _graphql(content, texts)
    return _raw(text_of(content), _language(body), texts)


def _raw(text: str, kind: str, texts: Texts) -> Body | None:
    """Return a body of text; JSON as its values, if it is JSON with its variables in quotes."""
    if not text.strip():
        return None
    if is_json(kind) or text.lstrip()[:1] in {"{", "["}:
        try:
            return Body("json", _json(decoded(text), texts))
        except ValueError:
            pass
    return Body("body", texts.text(text))


def _json(value: Any, texts: Texts) -> Any:
    match value:
        case str():
            return texts.text(value)
        case Mapping():
            return {texts.plain(key): _json(item, texts) for key, item in value.items()}
        case list():
            return [_json(item, texts) for item in value]
    return value


def _graphql(content: Mapping[str, Any], texts: Texts) -> Body:
    variables = text_of(content.get("variables")) or "{}"
    try:
        values = decoded(variables)
    except ValueError:
        values = {}
    return Body("json", _json({"query": text_of(content.get("query")), "variables": values}, texts))


def _multipart(content: Any, texts: Texts, note: Callable[[str], None]) -> Body | None:
    parts = []
    for one in content if isinstance(content, list) else ():
        if not isinstance(one, Mapping) or one.get("disabled") or not text_of(one.get("key")):
            continue
        is_file = one.get("type") == "file"
        if is_file:
            note(f"the content of files is not in a collection, '{FILE_CONTENT}' is sent")
        source = one.get("src")
        path = text_of(source[0]) if isinstance(source, list) and source else text_of(source)
        filename = (path.replace("\\", "/").rpartition("/")[2] or "file") if is_file else ""
        value = FILE_CONTENT if is_file else texts.text(text_of(one.get("value")))
        parts.append(
            Part(texts.plain(text_of(one.get("key"))), value, filename, text_of(one.get("contentType")))
        )
    return Body("multipart", tuple(parts)) if parts else None
