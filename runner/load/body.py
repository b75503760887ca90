"""The body of a request and its Content-Type, for every kind of body in a specification."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias

from runner.core.template import Position, position_of
from runner.experiment.request import MultipartPart, Request

Fill: TypeAlias = Callable[[str, Position], str]
"""Returns a template as it is sent at a position."""

_BOUNDARY: Final = re.compile(r";\s*boundary=(?:\"([^\"]{1,70})\"|([^\s;,\"]{1,70}))", re.IGNORECASE)
_QUOTED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def encoded_body(request: Request, fill: Fill, files: Mapping[str, bytes]) -> tuple[list[str | bytes], str]:
    """Return the pieces of a body, in order, and its Content-Type.

    Text is to be sent as UTF-8. The Content-Type is empty where the specification's headers are to state it.

    Args:
        request: One without a body has no pieces.
        fill: Inserts the values of variables.
        files: Path in the specification to content.
    """
    if request.body is not None:
        return [fill(request.body, Position.BODY)], ""
    if request.body_file is not None:
        return [files[request.body_file]], ""
    if request.json_body is not None:
        return [_json(request.json_body, fill)], "application/json"
    if request.form is not None:
        return [fields(request.form, fill, Position.FORM)], "application/x-www-form-urlencoded"
    if request.multipart is not None:
        boundary, content_type = _boundary(request, request.multipart, fill)
        return list(_multipart(request.multipart, boundary, fill, files)), content_type
    return [], ""


def fields(values: Mapping[str, Sequence[str]], fill: Fill, position: Position) -> str:
    """Return the fields of a form or query: ``a=1&b=2``."""
    return "&".join(
        f"{fill(name, position)}={fill(value, position)}"
        for name, repeated in values.items()
        for value in repeated
    )


def _json(value: Any, fill: Fill) -> str:
    match value:
        case str():
            if position_of(value, Position.JSON) is Position.VALUE:
                return fill(value, Position.VALUE)
            return f'"{fill(value, Position.JSON)}"'
        case Mapping():
            items = (f"{_json(key, fill)}:{_json(item, fill)}" for key, item in value.items())
            return "{" + ",".join(items) + "}"
        case list() | tuple():
            return "[" + ",".join(_json(item, fill) for item in value) + "]"
        case _:
            return json.dumps(value)


def _boundary(request: Request, parts: Sequence[MultipartPart], fill: Fill) -> tuple[str, str]:
    """Return what separates the parts, and the Content-Type that says so, empty if a header does already.

    It is the same in every run, and no file can contain it by accident.
    """
    given = next((text for name, text in request.headers.items() if name.lower() == "content-type"), "")
    given = fill(given, Position.HEADER)
    if stated := _BOUNDARY.search(given):
        return stated[1] or stated[2], ""
    described = repr([part.model_dump() for part in parts])
    boundary = f"loadproof-{hashlib.sha256(described.encode()).hexdigest()[:40]}"
    return boundary, f"{given or 'multipart/form-data'}; boundary={boundary}"


def _multipart(
    parts: Sequence[MultipartPart], boundary: str, fill: Fill, files: Mapping[str, bytes]
) -> Iterator[str | bytes]:
    for part in parts:
        yield f"--{boundary}\r\n{_part_head(part, fill)}\r\n"
        yield fill(part.value or "", Position.MULTIPART) if part.file is None else files[part.file]
        yield "\r\n"
    yield f"--{boundary}--\r\n"


def _part_head(part: MultipartPart, fill: Fill) -> str:
    """Return the header lines of a part, as browsers write them (HTML, "multipart/form-data")."""
    lines = f'Content-Disposition: form-data; name="{_quoted(part.name, fill)}"'
    content_type = part.content_type
    if part.file is not None:
        content_type = content_type or "application/octet-stream"
    if part.file is not None or part.filename is not None:
        name = part.filename if part.filename is not None else PurePosixPath(part.file or "").name
        lines += f'; filename="{_quoted(name, fill)}"'
    return f"{lines}\r\nContent-Type: {content_type}\r\n" if content_type else f"{lines}\r\n"


def _quoted(name: str, fill: Fill) -> str:
    return fill(name, Position.MULTIPART).translate(_QUOTED)
