"""The exchanges of a recording that a user causes: without assets, other hosts and what the browser adds."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urldefrag, urljoin

from runner.importers.bodies import FILE_CONTENT, FORM, MULTIPART, body_of, media_type
from runner.importers.draft import METHODS, Body, Part, RequestDraft, Text
from runner.importers.errors import refused
from runner.importers.fitting import problem_of
from runner.importers.har_model import Entry, HarRequest, NameValue
from runner.importers.names import request_name
from runner.importers.notes import Notes
from runner.importers.urls import Target, target_of

_MAX_TEXT: Final = 2 * 1024 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS: Final = 20
_LOOK_AHEAD: Final = 6
"""Among how many entries the request that follows a redirect is looked for."""
_ASSETS: Final = frozenset({"image", "font", "stylesheet", "script", "media", "manifest", "texttrack"})
_ASSET_TYPE: Final = re.compile(
    r"(?:image|font|audio|video)/.*|text/(?:css|javascript)|application/(?:x-)?(?:java|ecma)script"
    r"|application/(?:font-.*|x-font-.*|manifest\+json|wasm)"
)
_ASSET_PATH: Final = re.compile(
    r".*\.(?:css|m?js|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|mp3|webmanifest)",
    re.IGNORECASE,
)
_BROWSERS_OWN: Final = re.compile(
    r":.*|host|connection|content-length|transfer-encoding|keep-alive|proxy-connection|upgrade.*|te|trailer"
    r"|accept-encoding|accept-language|user-agent|cache-control|pragma|dnt|priority|purpose|range|expect"
    r"|if-none-match|if-modified-since|if-range|sec-.*|save-data|viewport-width|device-memory|rtt|ect|downlink"
    r"|x-client-data|alt-used|referer|origin",
    re.IGNORECASE,
)
"""Headers of the connection or of the browser, which say nothing about what its user does."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was recorded, and the response that the user got.

    Attributes:
        request_url: Of the request.
        url: Of the last request, if redirects were followed.
        started_ms: In milliseconds since 1970; None if that is not known.
        ended_ms: When the response was complete; likewise.
        status: Of the response.
        headers: Of all responses, those of the last one at the end.
        body: Of the response; empty if it was not recorded.
        content_type: Of the response.
        cookies: What was sent as Cookie with the first request.
    """

    request: RequestDraft
    request_url: str
    url: str
    started_ms: float | None
    ended_ms: float | None
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    content_type: str
    cookies: str


def origin_of(entries: Sequence[Entry]) -> str:
    """Return the origin of the service that was recorded: that of the first page, else the most frequent.

    Raises:
        UsageError: There is no request to a service.
    """
    counts: Counter[str] = Counter()
    for entry in entries:
        target = target_of(entry.request.url)
        if target is None or not entry.response.status:
            continue
        if 200 <= entry.response.status < 300 and _type_of(entry) == "text/html":
            return target.origin
        counts[target.origin] += not _is_asset(entry, target)
    if not counts:
        raise refused("it contains no request to an http or https URL that was answered")
    return counts.most_common(1)[0][0]


def exchanges_of(entries: Sequence[Entry], origin: str, notes: Notes) -> list[Exchange]:
    """Return what the user did, in order; everything else is noted."""
    exchanges = []
    hops: set[int] = set()
    for index, entry in enumerate(entries):
        if index in hops:
            continue
        target = target_of(entry.request.url)
        label = f"{entry.request.method} {target.path if target else entry.request.url}"
        if reason := _reason(entry, target, origin):
            notes.add(reason, target.origin if target and target.origin != origin else label)
            continue
        chain = _chain(entries, index, origin)
        exchange = _exchange([entries[at] for at in chain])
        hops.update(chain)
        if problem := _problem(entry, exchange):
            notes.add(problem, label)
        else:
            exchanges.append(exchange)
    return exchanges


def _reason(entry: Entry, target: Target | None, origin: str) -> str:
    """Return why an entry is left out, empty if it is not."""
    if target is None:
        return "no http or https request"
    method, headers = entry.request.method.upper(), entry.request.headers
    reasons = {
        "requests to other hosts": target.origin != origin,
        "methods that a specification does not have": method not in METHODS,
        "preflight requests of the browser": _header(headers, "access-control-request-method"),
        "WebSockets": _header(headers, "upgrade").lower() == "websocket",
        "images, fonts, style sheets and scripts": _is_asset(entry, target),
        "taken from the cache, or not answered": entry.from_cache or not entry.response.status,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _problem(entry: Entry, exchange: Exchange) -> str:
    """Return why an exchange cannot be repeated, empty if it can."""
    if exchange.status >= 400:
        return f"answered with status {exchange.status} in the recording"
    sent = entry.request.post_data
    has_body = (entry.request.body_size or 0) > 0 or _number(_header(entry.request.headers, "content-length"))
    if has_body and exchange.request.body is None:
        return "the recording does not contain the body that was sent"
    if sent and ((sent.encoding or "") == "base64" or "\N{REPLACEMENT CHARACTER}" in (sent.text or "")):
        return "a body that is no text"
    problem = problem_of(exchange.request)
    return f"no request of a specification ({problem})" if problem else ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def _is_asset(entry: Entry, target: Target) -> bool:
    if entry.resource_type in _ASSETS:
        return True
    kind = _type_of(entry)
    return bool(_ASSET_TYPE.fullmatch(kind) or (_ASSET_PATH.fullmatch(target.path) and "html" not in kind))


def _type_of(entry: Entry) -> str:
    return media_type(entry.response.content.mime_type or "")


def _header(headers: Iterable[NameValue], name: str) -> str:
    """Return the value of a header, empty if it is absent."""
    return next((one.value or "" for one in headers if one.name.lower() == name), "")


def _chain(entries: Sequence[Entry], index: int, origin: str) -> list[int]:
    """Return the indices of an entry and of those that the browser sent by itself to follow its redirects.

    A redirect to another host ends the chain, also if a later one leads back.
    """
    chain = [index]
    while len(chain) <= _MAX_HOPS:
        at = chain[-1]
        location = _location(entries[at])
        if entries[at].response.status not in _REDIRECTS or not location:
            break
        ahead = range(at + 1, min(at + 1 + _LOOK_AHEAD, len(entries)))
        following = next((one for one in ahead if urldefrag(entries[one].request.url)[0] == location), None)
        target = target_of(location)
        if following is None or target is None or target.origin != origin:
            break
        chain.append(following)
    return chain


def _location(entry: Entry) -> str:
    """Return the URL that a response redirects to, without a fragment; empty if it does not."""
    location = _header(entry.response.headers, "location") or entry.response.redirect_url or ""
    try:
        return urldefrag(urljoin(entry.request.url, location))[0] if location else ""
    except ValueError:
        return ""


def _exchange(chain: Sequence[Entry]) -> Exchange:
    first, last = chain[0], chain[-1]
    ended = (last.started_ms or 0.0) + max(last.time or 0.0, 0.0)
    headers = [one for entry in chain for one in entry.response.headers]
    return Exchange(
        request=replace(_request(first.request), follow_redirects=len(chain) - 1, statuses=_statuses(last)),
        request_url=first.request.url,
        url=last.request.url,
        started_ms=first.started_ms,
        ended_ms=None if last.started_ms is None else ended,
        status=last.response.status,
        headers=tuple((one.name, one.value or "") for one in headers),
        body=_text(last),
        content_type=last.response.content.mime_type or "",
        cookies=_header(first.request.headers, "cookie"),
    )


def _statuses(entry: Entry) -> tuple[int | str, ...]:
    """Return the status to expect: without the browser's cache, no response is 304."""
    return (200,) if entry.response.status == 304 else (entry.response.status,)


def _text(entry: Entry) -> str:
    content = entry.response.content
    text = (content.text or "")[:_MAX_TEXT]
    if content.encoding != "base64":
        return text
    try:
        return base64.b64decode(text[: len(text) // 4 * 4], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _request(request: HarRequest) -> RequestDraft:
    target = target_of(request.url) or Target("", "/")
    body = _body(request)
    return RequestDraft(
        name=request_name(request.method.upper(), target.path.partition("?")[0]),
        method=request.method.upper(),
        path=target.path,
        query=target.query,
        headers=tuple(_headers(request, body)),
        body=body,
    )


def _headers(request: HarRequest, body: Body | None) -> Iterable[tuple[str, Text]]:
    """Yield the headers that the page set, not the browser; the engine sends the type of forms and JSON."""
    seen = set()
    for header in request.headers:
        name, value = header.name.lower(), (header.value or "").strip()
        implied = name == "content-type" and body is not None and body.kind != "body"
        own = implied and not (body and body.kind == "json" and media_type(value) != "application/json")
        default = name == "accept" and value == "*/*"
        if not (_BROWSERS_OWN.fullmatch(name) or own or default or name == "cookie" or name in seen):
            seen.add(name)
            yield header.name, value


def _body(request: HarRequest) -> Body | None:
    """Return the body that was sent; browsers keep a form as text, as fields, or as both."""
    data = request.post_data
    if data is None:
        return None
    kind = data.mime_type or _header(request.headers, "content-type")
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
