"""The entries of a recording: whose they are, which are left out, and which follow redirects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final
from urllib.parse import urldefrag, urljoin

from runner.importers.bodies import media_type
from runner.importers.draft import METHODS
from runner.importers.errors import refused
from runner.importers.har_model import Entry, header
from runner.importers.urls import Target, target_of

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


def reason_against(entry: Entry, target: Target | None, origin: str) -> str:
    """Return why an entry is left out, empty if it is not."""
    if target is None:
        return "no http or https request"
    method, headers = entry.request.method.upper(), entry.request.headers
    reasons = {
        "requests to other hosts": target.origin != origin,
        "methods that a specification does not have": method not in METHODS,
        "preflight requests of the browser": header(headers, "access-control-request-method"),
        "WebSockets": header(headers, "upgrade").lower() == "websocket",
        "event streams, which do not end": "text/event-stream" in {_type_of(entry), _accepted(entry)},
        "images, fonts, style sheets and scripts": _is_asset(entry, target),
        "taken from the cache, or not answered": entry.from_cache or not entry.response.status,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def redirect_chain(entries: Sequence[Entry], index: int, origin: str) -> list[int]:
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
    location = header(entry.response.headers, "location") or entry.response.redirect_url or ""
    try:
        return urldefrag(urljoin(entry.request.url, location))[0] if location else ""
    except ValueError:
        return ""


def _is_asset(entry: Entry, target: Target) -> bool:
    if entry.resource_type in _ASSETS:
        return True
    kind = _type_of(entry)
    return bool(_ASSET_TYPE.fullmatch(kind) or (_ASSET_PATH.fullmatch(target.path) and "html" not in kind))


def _accepted(entry: Entry) -> str:
    return header(entry.request.headers, "accept").strip().lower()


def _type_of(entry: Entry) -> str:
    return media_type(entry.response.content.mime_type or "")
