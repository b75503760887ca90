"""The requests and checks of a load as data for script.js (pure).

A secret is in no file: where a request contains a variable, k6 gets the name of an environment variable and
how to encode its value.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runner.core import jsonpath
from runner.core.endpoint import Endpoint
from runner.core.rows import text_of
from runner.core.template import Position, Reference, assembled
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.experiment.expect import Expect
from runner.experiment.k6_limits import javascript
from runner.experiment.model import NamedRequest
from runner.load.body import Fill, encoded_body
from runner.load.check_order import check_order
from runner.load.checks import HeaderCheck, JsonCheck
from runner.load.inputs import Constant, Inputs
from runner.load.request import merged, target

MAX_BODY: Final[Bytes] = BYTES_PER_MIB
"""Each of k6's virtual users keeps its own copy of a body."""

_ENV: Final = "LOADPROOF_VALUE_"
_OUR_HEADERS: Final = {"User-Agent": "loadproof", "Accept": "*/*"}
_MARK: Final = secrets.token_hex(16)
_MARKED: Final = re.compile(f"<{_MARK}:([a-z]+):([A-Za-z0-9_]+)>")
_ENCODINGS: Final[Mapping[str, str]] = {
    Position.PATH: "percent",
    Position.QUERY: "percent",
    Position.FORM: "form",
    Position.JSON: "json",
    Position.VALUE: "value",
}

Pieces = list[str | dict[str, str]]
"""Text, and variables as ``{"env": NAME, "encode": HOW}``."""


def environment_of(values: Mapping[str, Constant]) -> dict[str, str]:
    """Return the environment variables that k6 needs for these values of variables."""
    return {_ENV + name: text_of(value) for name, value in values.items()}


def request_data(
    part: NamedRequest, endpoint: Endpoint, timeout_s: Seconds, inputs: Inputs
) -> dict[str, Any]:
    """Return one request with its checks, as script.js reads it."""
    fill = _filler(inputs.values)
    pieces, content_type = encoded_body(part, fill, inputs.files)
    own = {name: fill(text, Position.HEADER) for name, text in part.headers.items()}
    headers = merged(_OUR_HEADERS, own, content_type)
    return {
        "name": part.name,
        "method": part.method,
        "url": _split(url(endpoint, target(part, fill))),
        "headers": {name: _split(text) for name, text in headers.items()},
        "body": _body(pieces),
        "params": {
            "timeout": max(1, round(timeout_s * 1000)),
            "redirects": 0,
            "responseType": "text" if part.criteria.body_checks else "none",
        },
        "expect": _expected(part.criteria),
    }


def url(endpoint: Endpoint, path: str) -> str:
    """Return the URL of a request."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{endpoint.scheme}://{host}:{endpoint.port}{endpoint.base_path}{path}"


def _filler(values: Mapping[str, Constant]) -> Fill:
    """Return what marks variables; numbers and booleans are JSON as they stand in the environment."""

    def insert(reference: Reference, at: Position) -> str:
        is_json = at is Position.VALUE and not isinstance(values.get(reference.name, ""), str)
        return f"<{_MARK}:{Position.BODY if is_json else at}:{reference.name}>"

    return lambda text, position: assembled(text, position, insert)


def _split(text: str) -> Pieces:
    """Return a text with marked variables in pieces."""
    pieces: Pieces = []
    at = 0
    for marked in _MARKED.finditer(text):
        pieces += [
            text[at : marked.start()],
            {"env": _ENV + marked[2], "encode": _ENCODINGS.get(marked[1], "plain")},
        ]
        at = marked.end()
    return [piece for piece in [*pieces, text[at:]] if piece]


def _body(pieces: Sequence[str | bytes]) -> Pieces | dict[str, str] | None:
    """Return a body: text in pieces, or the bytes of one with a file."""
    if any(isinstance(piece, bytes) for piece in pieces):
        content = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        return {"base64": b64encode(content).decode()}
    return _split("".join(map(str, pieces))) if pieces else None


def _expected(expect: Expect) -> dict[str, Any]:
    order = check_order(expect)
    return {
        "statuses": list(order.statuses),
        "contains": [text.decode() for text in order.contains],
        "excludes": [text.decode() for text in order.excludes],
        "pattern": javascript(order.pattern) or "",
        "json": [_json(check) for check in order.json],
        "headers": list(_headers(order.headers)),
    }


def _json(check: JsonCheck) -> dict[str, Any]:
    return {
        "steps": list(jsonpath.steps_of(check.path) or ()),
        "value": list(check.value),
        "min": check.min,
        "max": check.max,
        "exists": check.exists,
    }


def _headers(checks: Sequence[HeaderCheck]) -> Iterator[dict[str, Any]]:
    for check in checks:
        yield {
            "name": check.name,
            "equals": check.equals,
            "contains": check.contains,
            "matches": javascript(check.matches) or "",
            "exists": check.exists,
        }
