"""Values that a response produced and a later request sends: they become extracts where that is certain.

A value is certain if it cannot be there by chance: it is long and looks random, or it has the name of the
field that it is sent in, or it is the identifier of a thing in the path of that thing. A value that the user
sent before the response contained it does not come from the response.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urldefrag, urljoin

from runner.core.template import Reference
from runner.importers.draft import Extract, RequestDraft, Text, joined, written
from runner.importers.har_exchanges import Exchange
from runner.importers.names import Names, noun_of, singular, variable_name
from runner.importers.places import Place, Where, replaced
from runner.importers.produced import Produced, form_action, objects, packed, produced
from runner.importers.secrets import Secrets, is_secret_at
from runner.importers.urls import target_of

_MAX_OBJECTS: Final = 5_000
_MAX_PRODUCED: Final = 100_000
_IDENTIFIER: Final = re.compile(
    r"(?:.*[^a-zA-Z])?(?:id|uuid|guid|key|slug|sku|code|number|ref)s?", re.IGNORECASE
)
_RANDOM: Final = re.compile(
    r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9_~+/=-]{20,}|[0-9]{6,}"
)
_UNIQUE: Final = re.compile(r"(?:x-)?(?:idempotency-key|request-id|correlation-id)", re.IGNORECASE)
"""Headers whose value the client makes up for each request; a server may ignore one that it knows."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?|[0-9]{8}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GENERIC: Final = frozenset({"id", "value", "key", "code", "number", "name", "uuid", "slug", "ref"})
_LOCATED: Final = frozenset({201, 202, 301, 302, 303, 307, 308})
_LINKED: Final = "location"


class _Source:
    """A value of an earlier response.

    Attributes:
        step: Index of the exchange.
        path: That was requested there.
    """

    def __init__(self, step: int, path: str, value: Produced) -> None:
        self.step, self.path, self.value = step, path, value


def correlated(
    exchanges: Sequence[Exchange], secrets: Secrets, names: Names
) -> tuple[list[RequestDraft], dict[str, dict[str, str]]]:
    """Return the requests, with extracts and variables in place of recorded values, and these variables."""
    work = _Correlation(secrets, names)
    for exchange in exchanges:
        work.take(exchange)
    return work.requests, {**work.variables, **secrets.variables}


class _Correlation:
    """Follows the exchanges in order.

    Attributes:
        requests: Those taken so far.
        variables: Name to definition of values that each request has anew.
    """

    def __init__(self, secrets: Secrets, names: Names) -> None:
        self.requests: list[RequestDraft] = []
        self.variables: dict[str, dict[str, str]] = {}
        self._secrets, self._names = secrets, names
        self._sources: dict[str, list[_Source]] = {}
        self._locations: dict[str, int] = {}
        self._sent: set[str] = set()
        self._extracts: dict[tuple[int, str], str] = {}
        self._unique: dict[str, Reference] = {}
        self._count = 0
        self._objects: dict[bytes, tuple[int, str, Extract]] = {}
        self._previous: Exchange | None = None

    def take(self, exchange: Exchange) -> None:
        """Add the request of an exchange, and the values of its response for those that follow."""
        sent: list[str] = []

        def replacement(place: Place, value: str) -> Text:
            sent.append(value)
            return self._replacement(place, value)

        recorded = exchange.request
        request = self._posted(recorded, exchange) or replaced(recorded, replacement, self._object)
        if request.url:
            body = replaced(replace(recorded, path="/", query=()), replacement, self._object)
            request = replace(request, headers=body.headers, body=body.body)
        self.requests.append(self._located(request, exchange))
        self._sent.update(sent)
        self._add_sources(exchange)
        self._previous = exchange

    def _replacement(self, place: Place, value: str) -> Text:
        source = next((one for one in self._sources.get(value, ()) if _is_certain(one, place)), None)
        if source is not None:
            return joined(self._extracted(source.step, _named(source), source.value.extract))
        if place.where is Where.HEADER and _UNIQUE.fullmatch(place.name) and _UUID.fullmatch(value):
            return joined(self._made_up(place.name.lower()))
        if is_secret_at(place, value):
            return self._secrets.replaced(place.name, value)
        return value

    def _made_up(self, header: str) -> Reference:
        """Return a reference to a variable that is another UUID in each request."""
        if header not in self._unique:
            name = self._names.unique(variable_name(header))
            self.variables[name] = {"uuid": "v4", "scope": "request"}
            self._unique[header] = Reference(name)
        return self._unique[header]

    def _object(self, content: Mapping[str, Any]) -> Text | None:
        """Return what stands in place of a whole object that a response contained; None if none did."""
        known = self._objects.get(packed(content))
        return joined(self._extracted(*known)) if known else None

    def _extracted(self, step: int, name: str, extract: Extract) -> Reference:
        """Return a reference to a value, which the step extracts from now on."""
        identity = (step, str(sorted(extract.items())))
        if identity not in self._extracts:
            request = self.requests[step]
            name = self._names.unique(variable_name(name))
            self._extracts[identity] = name
            self.requests[step] = replace(request, extract={**request.extract, name: extract})
        return Reference(self._extracts[identity])

    def _posted(self, request: RequestDraft, exchange: Exchange) -> RequestDraft | None:
        """Return a request by the address of the form before it, if only its page has that; else None."""
        own = any(_RANDOM.fullmatch(written(value)) and value not in self._sent for _, value in request.query)
        if not self._previous or request.method != "POST" or not own:
            return None
        extract = form_action(self._previous, exchange.request_url)
        if extract is None:
            return None
        action = self._extracted(len(self.requests) - 1, f"{request.name}_action", extract)
        return replace(request, url=joined(action), query=())

    def _located(self, request: RequestDraft, exchange: Exchange) -> RequestDraft:
        """Return a request whose URL an earlier response gave as its Location, by that value."""
        target = target_of(exchange.request_url)
        if target is None or request.url or not isinstance(request.path, str):
            return request
        path = target.path.partition("?")[0]
        for end in sorted({len(path), *(at.start() for at in re.finditer("/", path))}, reverse=True):
            step = self._locations.get(target.origin + path[:end])
            if step is not None and end > 1:
                noun = noun_of(written(self.requests[step].path))
                name = f"{noun}_{_LINKED}" if noun else _LINKED
                location = self._extracted(step, name, {"header": "Location"})
                return replace(request, url=joined(location, written(request.path[end:])))
        return request

    def _add_sources(self, exchange: Exchange) -> None:
        step = len(self.requests) - 1
        path = written(exchange.request.path).partition("?")[0].rstrip("/")
        for value in produced(exchange):
            self._count += 1
            if value.value not in self._sent and self._count <= _MAX_PRODUCED:
                self._sources.setdefault(value.value, []).append(_Source(step, path, value))
        for content, key, extract in objects(exchange):
            if len(self._objects) < _MAX_OBJECTS:
                self._objects.setdefault(content, (step, key or noun_of(path) or "content", extract))
        location = next((text for name, text in exchange.headers if name.lower() == "location"), "")
        if location and exchange.status in _LOCATED and not exchange.request.follow_redirects:
            self._locations.setdefault(_resolved(exchange.url, location), step)


def _resolved(base: str, location: str) -> str:
    """Return origin and path of a Location; empty if it is no URL or has a query."""
    try:
        target = target_of(urldefrag(urljoin(base, location))[0])
    except ValueError:
        return ""
    return target.origin + target.path if target and not target.query else ""


def _is_certain(source: _Source, place: Place) -> bool:
    """Return whether a value at a place comes from a response, for reasons that are no chance."""
    value = source.value
    other_type = place.where is Where.JSON and place.kind is not value.kind
    cookie_in_path = place.where is Where.PATH and "cookie" in value.extract
    if other_type or cookie_in_path or _DATE.fullmatch(value.value):
        return False
    return _RANDOM.fullmatch(value.value.strip('"')) is not None or _is_named_so(source, place)


def _is_named_so(source: _Source, place: Place) -> bool:
    """Return whether a value is called where it is sent as it is in the response."""
    value = source.value
    identifies = _IDENTIFIER.fullmatch(_CAMEL.sub("_", value.key)) is not None
    if place.where is Where.PATH:
        return (place.name == source.path and identifies) or (value.path != "" and place.name == value.path)
    if _folded(place.name) == _folded(value.key):
        return value.is_field or identifies
    owners = {_folded(singular(value.owner)), _folded(noun_of(source.path))} - {""}
    return identifies and _folded(place.name) in owners | {f"{owner}{_folded(value.key)}" for owner in owners}


def _named(source: _Source) -> str:
    """Return what to call a value: ``order_id`` of the id of an order."""
    key = source.value.key
    if variable_name(key) not in _GENERIC:
        return key
    owner = singular(source.value.owner) or noun_of(source.path)
    return f"{owner}_{key}" if owner else key


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
