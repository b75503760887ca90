"""The bytes of a request, and the address they go to."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.template import Position, names, references
from runner.experiment.body_range import BodyRange
from runner.experiment.request import Request, StepKeys, is_header_value
from runner.experiment.traffic import Connection
from runner.load.body import Fill, encoded_body, fields
from runner.load.engine import LoadOrder
from runner.load.inputs import NO_INPUTS, Inputs
from runner.load.marks import Marks, joined
from runner.load.rendering import BodyPart, Piece, Value

_DEFAULT_PORTS = {"http": 80, "https": 443}


def request_bytes(order: LoadOrder) -> bytes:
    """Return the first request of an order, as `rendered` does."""
    load = order.load
    return rendered(load.parts[0], order.endpoint, load.connection, order.inputs)


def rendered(part: Request, endpoint: Endpoint, connection: Connection, inputs: Inputs = NO_INPUTS) -> bytes:
    """Return one HTTP/1.1 request that is the same for every arrival; see `pieces_of`."""
    (content,) = pieces_of(part, endpoint, connection, inputs)
    assert isinstance(content, bytes)
    return content


def pieces_of(
    part: Request, endpoint: Endpoint, connection: Connection, inputs: Inputs = NO_INPUTS
) -> tuple[Piece, ...]:
    """Return one HTTP/1.1 request; headers of the specification replace ours of the same name.

    Args:
        part: What to send.
        endpoint: Where it goes.
        connection: Whether the connection is closed afterwards.
        inputs: Values of the variables that are the same for every arrival, and contents of the files.

    Returns:
        Its pieces: one if every arrival sends the same bytes.

    Raises:
        EnvironmentLacks: A value cannot be sent where it stands.
    """
    marks = Marks(inputs.values)
    contents, content_type = encoded_body(part, marks.fill, inputs.files)
    body = [piece for content in contents for piece in marks.split(content)]
    keys = part if isinstance(part, StepKeys) else None
    if keys and keys.body_range:
        body = [_part_of_file(keys.body_range, b"".join(piece for piece in body if isinstance(piece, bytes)))]
    headers = {"Host": host_header(endpoint), "User-Agent": "loadproof", "Accept": "*/*"}
    if contents or part.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = marks.body_length(body)
    if connection == "new":
        headers["Connection"] = "close"
    headers = merged(headers, _own_headers(part, marks.fill), content_type)
    path = endpoint.base_path + marks.fill(part.path, Position.PATH)
    if keys and keys.url:
        path = marks.fill(keys.url, Position.URL)
    lines = [f"{part.method} {with_query(path, part, marks.fill)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return joined(marks.split("\r\n".join(lines) + "\r\n\r\n"), body)


def _part_of_file(wanted: BodyRange, content: bytes) -> BodyPart:
    if isinstance(wanted.begin, int):
        return BodyPart(content, wanted.begin, wanted.size)
    (reference,) = references(wanted.begin)
    return BodyPart(content, Value(reference.name, reference.path, Position.BODY), wanted.size)


def target(part: Request, fill: Fill) -> str:
    """Return path and query."""
    return with_query(fill(part.path, Position.PATH), part, fill)


def with_query(path: str, part: Request, fill: Fill) -> str:
    """Return a path, and the query of a request after it."""
    if not part.query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{fields(part.query, fill, Position.QUERY)}"


def merged(ours: Mapping[str, str], own: Mapping[str, str], content_type: str) -> dict[str, str]:
    """Return our headers, unless the request has its own of that name, then the request's.

    Args:
        ours: Name to value.
        own: Those of the specification.
        content_type: That of the body, empty if it has none of its own.
    """
    given = {name.lower(): name for name in own}
    headers = {name: value for name, value in ours.items() if name.lower() not in given}
    headers |= own
    if content_type:
        multipart = "boundary=" in content_type
        name = given.get("content-type", "Content-Type")
        headers[name] = content_type if multipart or name not in own else own[name]
    return headers


def _own_headers(part: Request, fill: Fill) -> dict[str, str]:
    headers = {}
    for name, text in part.headers.items():
        headers[name] = fill(text, Position.HEADER)
        if not is_header_value(headers[name]):
            variables = ", ".join(dict.fromkeys(names(text)))
            raise EnvironmentLacks(
                f"the value of the variable {variables} cannot be sent in the header {name}: it is not one "
                "line of printable ASCII, or has spaces at its ends",
                hint="correct the environment variable that load.variables names, or what hooks extract",
            )
    return headers


def host_header(endpoint: Endpoint) -> str:
    """Return the value of the Host header."""
    name = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return name if endpoint.port == _DEFAULT_PORTS[endpoint.scheme] else f"{name}:{endpoint.port}"
