"""The requests of a recording, without what the browser adds to each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from runner.importers.bodies import FILE_CONTENT, FORM, MULTIPART, body_of, media_type
from runner.importers.draft import Body, Part, RequestDraft, Text
from runner.importers.har_model import HarRequest, header
from runner.importers.names import request_name
from runner.importers.urls import Target, target_of

_BROWSERS_OWN: Final = re.compile(
    r":.*|host|connection|content-length|transfer-encoding|keep-alive|proxy-connection|upgrade.*|te|trailer"
    r"|accept-encoding|accept-language|user-agent|cache-control|pragma|dnt|priority|purpose|range|expect"
    r"|if-none-match|if-modified-since|if-range|sec-.*|save-data|viewport-width|device-memory|rtt|ect|downlink"
    r"|x-client-data|alt-used|referer|origin",
    re.IGNORECASE,
)
"""Headers of the connection or of the browser, which say nothing about what its user does."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAY_BE_SECRET: Final = re.compile(r"[^/]*[0-9][^/]{7,}|[^/]{20,}|[^/]{7,}[0-9]")


def request_of(request: HarRequest) -> RequestDraft:
    """Return the request that a page sent, with its headers and its body."""
    target = target_of(request.url) or Target("", "/")
    body = _body(request)
    return RequestDraft(
        name=request_name(request.method.upper(), target.path.partition("?")[0]),
        method=request.method.upper(),
        path=target.path,
        query=target.query,
        headers=(*_headers(request, body), *_sent_from(request, target)),
        body=body,
    )


def _headers(request: HarRequest, body: Body | None) -> Iterable[tuple[str, Text]]:
    """Yield the headers that the page set, not the browser; the engine sends the type of forms and JSON."""
    seen = set()
    for one in request.headers:
        name, value = one.name.lower(), (one.value or "").strip()
        implied = name == "content-type" and body is not None and body.kind != "body"
        own = implied and not (body and body.kind == "json" and media_type(value) != "application/json")
        default = name == "accept" and value == "*/*"
        if not (_BROWSERS_OWN.fullmatch(name) or own or default or name == "cookie" or name in seen):
            seen.add(name)
            yield one.name, "text/html" if name == "accept" and value.startswith("text/html,") else value
    if body is not None and not header(request.headers, "content-type"):
        yield from _type_of(request, body)


def _type_of(request: HarRequest, body: Body) -> Iterable[tuple[str, Text]]:
    """Yield the type of a body whose header was not recorded, unless the engine sends that type anyway."""
    kind = (request.post_data.mime_type or "").strip() if request.post_data else ""
    if kind and (body.kind == "body" or (body.kind == "json" and media_type(kind) != "application/json")):
        yield "Content-Type", kind


def _sent_from(request: HarRequest, target: Target) -> Iterable[tuple[str, Text]]:
    """Yield Origin and Referer of a request that changes something, which servers check against forgery.

    Only those of the service itself; of the page's address, what may be a secret is cut off.
    """
    if request.method.upper() in _SAFE:
        return
    if header(request.headers, "origin").strip() == target.origin:
        yield "Origin", target.origin
    page = target_of(header(request.headers, "referer").strip())
    if page is not None and page.origin == target.origin:
        path = page.path.partition("?")[0]
        yield "Referer", page.origin + ("/" if _MAY_BE_SECRET.search(path) else path)


def _body(request: HarRequest) -> Body | None:
    """Return the body that was sent; browsers keep a form as text, as fields, or as both."""
    data = request.post_data
    if data is None:
        return None
    kind = data.mime_type or header(request.headers, "content-type")
    if data.text:
        return body_of(data.text, kind)
    if not data.params:
        return None
    if media_type(kind) == MULTIPART:
        parts = (
            Part(
                one.name,
                FILE_CONTENT if one.file_name else one.value or "",
                one.file_name or "",
                media_type(one.content_type or ""),
            )
            for one in data.params
        )
        return Body("multipart", tuple(parts))
    pairs = tuple((one.name, one.value or "") for one in data.params)
    return Body("form", pairs) if media_type(kind) in {FORM, ""} else None
