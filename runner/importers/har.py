"""A browser's recording (HAR) as a scenario: its requests in order, with the pauses of its user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from runner.core.template import Reference
from runner.core.units import Seconds
from runner.experiment.scenario import MAX_STEPS
from runner.importers.bodies import FILE_CONTENT
from runner.importers.correlation import correlated
from runner.importers.draft import Draft, RequestDraft, ScenarioDraft, joined
from runner.importers.errors import refused
from runner.importers.har_entries import origin_of
from runner.importers.har_exchanges import Exchange, exchanges_of
from runner.importers.har_model import read_entries
from runner.importers.names import Names, request_name
from runner.importers.notes import Notes
from runner.importers.polls import folded
from runner.importers.secrets import Secrets

_SHORTEST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3600.0
_COOKIE: Final = "cookie"
_ANALYTICS: Final = re.compile(
    r"_ga.*|_gi?d|_gat.*|_gcl.*|_fbp|_fbc|_hj.*|_uet.*|_pk_.*|ajs_.*|amp_.*|amplitude.*|mp_.*|optanon.*"
    r"|intercom-.*|__utm.*|_clck|_clsk|ph_.*|cookieconsent.*",
    re.IGNORECASE,
)


def draft_of_har(log: bytes) -> Draft:
    """Return what a user did in a recording.

    Args:
        log: The JSON value of its key ``log``.

    Raises:
        UsageError: It is no recording, or contains no request that can be repeated.
    """
    notes, changes = Notes(), Notes()
    entries = read_entries(log)
    origin = origin_of(entries)
    exchanges = _first(exchanges_of(entries, origin, notes), notes)
    names = Names("_")
    secrets = Secrets(names)
    cookies = _unknown_cookies(exchanges, notes)
    requests, variables = correlated(exchanges, secrets, names)
    requests = _renamed(requests)
    if any(cookies):
        variable = names.unique(_COOKIE)
        variables[variable] = {"env": variable.upper()}
        requests = [
            _with_cookie(one, variable) if own else one for one, own in zip(requests, cookies, strict=True)
        ]
        for label in sorted({name for own in cookies for name in own}):
            changes.add(f"cookies that no response set are read from ${variable.upper()}", label)
    _note_changes(requests, changes)
    steps = tuple(folded(exchanges, requests, _pauses(exchanges), names, changes))
    return Draft(
        source="a browser's recording (HAR)",
        url=origin,
        scenarios=(ScenarioDraft("recording", steps),),
        variables=variables,
        left_out=notes.lines(),
        changed=changes.lines(),
    )


def _first(exchanges: list[Exchange], notes: Notes) -> list[Exchange]:
    """Return as many exchanges as a scenario can have; UsageError if there is none."""
    if not exchanges:
        raise refused("none of its requests can be repeated", hint="; ".join(notes.lines()))
    for one in exchanges[MAX_STEPS:]:
        notes.add(f"beyond the first {MAX_STEPS} requests", f"{one.request.method} {one.request.path}")
    return exchanges[:MAX_STEPS]


def _note_changes(requests: Sequence[RequestDraft], changes: Notes) -> None:
    for request in requests:
        for name, _ in request.headers:
            if name in {"Origin", "Referer"}:
                changes.add("sent with what changes something, because servers check it", name)
        for name in request.extract:
            changes.add("values that later requests send are extracted from responses", name)
        for part in request.body.content if request.body and request.body.kind == "multipart" else ():
            if part.filename:
                changes.add(f"the content of files is not recorded, '{FILE_CONTENT}' is sent", part.filename)


def _renamed(requests: Sequence[RequestDraft]) -> list[RequestDraft]:
    """Return the requests with names that are unique and contain no identifiers."""
    names = Names()
    renamed = []
    for one in requests:
        pieces = (one.path,) if isinstance(one.path, str) else one.path
        path = "".join("0" if isinstance(piece, Reference) else piece for piece in pieces)
        renamed.append(replace(one, name=names.unique(request_name(one.method, path.partition("?")[0]))))
    return renamed


def _pauses(exchanges: Sequence[Exchange]) -> list[Seconds]:
    """Return the time from the responses before each request to it; 0 if it is too short to count."""
    ended_ms: float | None = None
    pauses = []
    for exchange in exchanges:
        pause = _pause_s(ended_ms, exchange.started_ms)
        pauses.append(pause if pause >= _SHORTEST_PAUSE_S else 0.0)
        if exchange.ended_ms is not None:
            ended_ms = max(ended_ms or 0.0, exchange.ended_ms)
    return pauses


def _pause_s(ended_ms: float | None, started_ms: float | None) -> Seconds:
    if ended_ms is None or started_ms is None:
        return 0.0
    return round(min((started_ms - ended_ms) / 1000, _LONGEST_PAUSE_S), 1)


def _unknown_cookies(exchanges: Sequence[Exchange], notes: Notes) -> list[tuple[str, ...]]:
    """Return, of each exchange, the names of cookies that it sent although no response had set them."""
    known: set[str] = set()
    unknown = []
    for exchange in exchanges:
        sent = [pair.partition("=")[0].strip() for pair in exchange.cookies.split(";") if "=" in pair]
        own = tuple(name for name in sent if name not in known and not _ANALYTICS.fullmatch(name))
        for name in sent:
            if _ANALYTICS.fullmatch(name):
                notes.add("cookies of analytics", name)
        unknown.append(own)
        known.update(
            line.partition("=")[0].strip() for value in exchange.set_cookies for line in value.split("\n")
        )
    return unknown


def _with_cookie(request: RequestDraft, variable: str) -> RequestDraft:
    return replace(request, headers=(*request.headers, ("Cookie", joined(Reference(variable)))))
