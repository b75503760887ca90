"""The exchanges of a recording that a user causes: without assets, other hosts and what the browser adds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from runner.importers.draft import RequestDraft
from runner.importers.fitting import problem_of
from runner.importers.har_entries import reason_against, redirect_chain
from runner.importers.har_model import Entry, header
from runner.importers.har_requests import request_of
from runner.importers.notes import Notes
from runner.importers.urls import target_of

_MAX_TEXT: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was recorded, and the response that the user got.

    Attributes:
        request_url: Of the request.
        url: Of the last request, if redirects were followed.
        started_ms: In milliseconds since 1970; None if that is not known.
        ended_ms: When the response was complete; likewise.
        status: Of the response.
        headers: Of the response.
        set_cookies: Values of Set-Cookie of this response, and of those that redirected to it.
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
    set_cookies: tuple[str, ...]
    body: str
    content_type: str
    cookies: str


def exchanges_of(entries: Sequence[Entry], origin: str, notes: Notes) -> list[Exchange]:
    """Return what the user did, in order; everything else is noted."""
    exchanges = []
    hops: set[int] = set()
    for index, entry in enumerate(entries):
        if index in hops:
            continue
        target = target_of(entry.request.url)
        label = f"{entry.request.method} {target.path if target else entry.request.url}"
        if reason := reason_against(entry, target, origin):
            notes.add(reason, target.origin if target and target.origin != origin else label)
            continue
        chain = redirect_chain(entries, index, origin)
        exchange = _exchange([entries[at] for at in chain])
        hops.update(chain)
        if problem := _problem(entry, exchange):
            notes.add(problem, label)
        else:
            exchanges.append(exchange)
    return exchanges


def _problem(entry: Entry, exchange: Exchange) -> str:
    """Return why an exchange cannot be repeated, empty if it can."""
    if exchange.status >= 400:
        return f"answered with status {exchange.status} in the recording"
    sent = entry.request.post_data
    has_body = (entry.request.body_size or 0) > 0 or _number(header(entry.request.headers, "content-length"))
    if has_body and exchange.request.body is None:
        return "the recording does not contain the body that was sent"
    if sent and ((sent.encoding or "") == "base64" or "\N{REPLACEMENT CHARACTER}" in (sent.text or "")):
        return "a body that is no text"
    problem = problem_of(exchange.request)
    return f"no request of a specification ({problem})" if problem else ""


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def _exchange(chain: Sequence[Entry]) -> Exchange:
    first, last = chain[0], chain[-1]
    ended = (last.started_ms or 0.0) + max(last.time or 0.0, 0.0)
    received = [one for entry in chain for one in entry.response.headers]
    return Exchange(
        request=replace(request_of(first.request), follow_redirects=len(chain) - 1, statuses=_statuses(last)),
        request_url=first.request.url,
        url=last.request.url,
        started_ms=first.started_ms,
        ended_ms=None if last.started_ms is None else ended,
        status=last.response.status,
        headers=tuple((one.name, one.value or "") for one in last.response.headers),
        set_cookies=tuple(one.value or "" for one in received if one.name.lower() == "set-cookie"),
        body=_text(last),
        content_type=last.response.content.mime_type or "",
        cookies=header(first.request.headers, "cookie"),
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
