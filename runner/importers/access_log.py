"""An access log of nginx or Apache as a mix: what was requested, in the measured shares."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote

from runner.core.units import Bytes, PerSecond
from runner.importers.draft import METHODS, Draft, counted
from runner.importers.errors import refused
from runner.importers.log_mix import Group, Mix, grouped
from runner.importers.notes import Notes
from runner.importers.urls import path_and_query

_MAX_LINE: Final[Bytes] = 16 * 1024
_MAX_TARGET: Final = 4000
_MAX_DISTINCT: Final = 300_000
_LOOKED_AT: Final = 200
"""How many lines decide whether a file is a log."""
_LINE: Final = re.compile(
    rb"(?:\S{1,255}:[0-9]{1,5} )?\S{1,255} \S{1,255} [^\[]{1,255}"
    rb" \[(?P<minute>[^\]:]{1,20}:[0-9]{2}:[0-9]{2})[^\]]{0,20}\]"
    rb' "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3})(?: |$)'
)
"""Common and combined format: host, identity, user, time, request line, status; whatever follows."""
_REQUEST: Final = re.compile(rb"(?P<method>[A-Z]{1,20}) (?P<target>[!-~\x80-\xff]+)(?: HTTP/[0-9.]{1,5})?")
_ESCAPE: Final = re.compile(rb'\\(?:x(?P<code>[0-9A-Fa-f]{2})|(?P<sign>["\\]))')
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SECONDS: Final = 60
_GROWTH: Final = (1, 2, 4)


class Hit(NamedTuple):
    """One kind of line.

    Attributes:
        target: Path and query, as in the log.
    """

    method: str
    target: str
    status: int


@dataclass(slots=True)
class _Counts:
    """What the lines of a log contain.

    Attributes:
        hits: How often each kind of line occurs.
        minutes: How many requests there were in each minute.
        unreadable: How many lines are in no known format.
        rest: How many lines are of further kinds than can be kept.
    """

    hits: Counter[Hit] = field(default_factory=Counter)
    minutes: Counter[bytes] = field(default_factory=Counter)
    unreadable: int = 0
    rest: int = 0


def is_access_log(content: bytes) -> bool:
    """Return whether one in ten of the first lines is a line of an access log."""
    lines = [line for _, line in zip(range(_LOOKED_AT), io.BytesIO(content), strict=False)]
    return 10 * sum(_LINE.match(line[:_MAX_LINE]) is not None for line in lines) >= len(lines)


def draft_of_log(content: bytes) -> Draft:
    """Return the mix of requests in a log.

    Raises:
        UsageError: No line is a request that can be repeated.
    """
    counts, notes, changes = _counts_of(content), Notes(), Notes()
    kept = Counter({hit: times for hit, times in counts.hits.items() if not _reason(hit)})
    for hit, times in counts.hits.items():
        if reason := _reason(hit):
            notes.add(reason, f"{hit.method} {hit.target.partition('?')[0]}", times)
    if counts.unreadable:
        notes.add("no requests in the common or combined format", counted(counts.unreadable, "line"))
    if counts.rest:
        notes.add(f"beyond {_MAX_DISTINCT:,} different requests", counted(counts.rest, "line"))
    mix = Mix(notes, changes)
    requests = mix.requests(list(_groups(kept, notes)))
    if not requests:
        raise refused("none of its lines is a request that can be repeated", "; ".join(notes.lines())[:300])
    busiest = _rate(counts)
    changes.add("the rate of the first stage is that of the busiest minute", f"{busiest:g}/s")
    return Draft(
        source="an access log",
        requests=requests,
        variables=mix.variables,
        files=mix.files,
        rates=tuple(busiest * factor for factor in _GROWTH),
        left_out=notes.lines(),
        changed=changes.lines(),
    )


def _counts_of(content: bytes) -> _Counts:
    counts = _Counts()
    lines: Counter[tuple[bytes, bytes]] = Counter()
    for line in io.BytesIO(content):
        matched = _LINE.match(line) if len(line) <= _MAX_LINE else None
        if matched is None:
            counts.unreadable += bool(line.strip())
            continue
        minute, *kind = matched.groups()
        counts.minutes[minute] += 1
        if (key := (kind[0], kind[1])) in lines or len(lines) < _MAX_DISTINCT:
            lines[key] += 1
        else:
            counts.rest += 1
    for (text, status), times in lines.items():
        if request := _REQUEST.fullmatch(text):
            target = _ESCAPE.sub(_unescaped, request["target"]).decode("utf-8", "replace")
            counts.hits[Hit(request["method"].decode(), target, int(status))] += times
        else:
            counts.unreadable += times
    return counts


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape["code"], 16)]) if escape["code"] else escape["sign"]


def _reason(hit: Hit) -> str:
    """Return why a kind of line is left out, empty if it is not."""
    if hit.method not in METHODS or not hit.target.startswith("/"):
        return "no request of a specification"
    if hit.method not in _WITHOUT_BODY:
        return "a log does not contain the body that was sent"
    if not 200 <= hit.status < 400:
        return f"answered with status {hit.status}"
    return ""


def _groups(hits: Counter[Hit], notes: Notes) -> Iterator[Group]:
    """Yield the requests that differ in nothing but the values in their paths and queries."""
    parsed = []
    for hit, times in hits.items():
        path, _, query = hit.target.partition("#")[0].partition("?")
        whole, pairs = path_and_query(path, query)
        decoded = unquote(hit.target) + "".join(value for _, value in pairs)
        if (
            not decoded.isprintable()
            or "\N{REPLACEMENT CHARACTER}" in decoded
            or len(hit.target) > _MAX_TARGET
        ):
            notes.add("no request of a specification", f"{hit.method} {path}", times)
        else:
            parsed.append((hit, whole, pairs, times))
    yield from grouped((hit.method, whole, pairs, hit.status, times) for hit, whole, pairs, times in parsed)


def _rate(counts: _Counts) -> PerSecond:
    """Return the requests per second in the busiest minute, at least 1, with two digits."""
    busiest = max(counts.minutes.values()) / _SECONDS
    return max(1.0, float(f"{busiest:.2g}"))
