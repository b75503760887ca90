"""What `runner try` prints of a request: both messages, the checks, the extracted values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runner.execution.try_result import TriedRequest

_SHORT: Final = (40, 2000)
_FULL: Final = (2000, 64_000)
_MAX_LINE: Final = 500
_REQUEST: Final = "  > "
_RESPONSE: Final = "  < "


def title(request: TriedRequest, number: int) -> str:
    """Return the line above a request: ``3. token: POST http://… → 200 OK, 4.1 ms``."""
    method = request.request[0].partition(" ")[0] if request.request else ""
    what = f"{method} {request.url}" if request.url else "not sent"
    arrow = "redirected to " if request.is_redirected else ""
    name = f"{request.step}: " if request.step else ""
    return f"{number}. {name}{arrow}{_cut(what)}{_outcome(request)}"


def _outcome(request: TriedRequest) -> str:
    if not request.status:
        return ""
    try:
        phrase = f" {HTTPStatus(request.status).phrase}"
    except ValueError:
        phrase = ""
    time = f", {1000 * request.duration_s:.3g} ms" if request.duration_s is not None else ""
    return f" → {request.status}{phrase}{time}"


def messages(request: TriedRequest, *, full: bool) -> Iterator[str]:
    """Yield the lines of the request and of its response.

    Args:
        request: What was sent and received.
        full: Whether to show as much of both as was recorded.
    """
    yield from _bounded(_REQUEST, request.request, full=full)
    yield from _bounded(_RESPONSE, request.head, full=full)
    if request.body:
        yield _RESPONSE.rstrip()
        yield from _bounded(_RESPONSE, request.body.splitlines(), full=full)
    elif request.body_bytes:
        yield f"{_RESPONSE}({request.body_bytes:,} bytes that are no text)"


def _bounded(mark: str, lines: Sequence[str], *, full: bool) -> Iterator[str]:
    most_lines, most_characters = _FULL if full else _SHORT
    shown = 0
    for index, line in enumerate(lines):
        if index == most_lines or shown > most_characters:
            left = sum(map(len, lines[index:]))
            yield f"{mark}… {left:,} more characters{'' if full else ' (--full shows them)'}"
            return
        part = line if full else _cut(line)
        shown += len(part)
        yield f"{mark}{part}".rstrip()


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}… ({len(line):,} characters)"


def values(request: TriedRequest) -> Iterator[str]:
    """Yield a line for each extracted value, and for each cookie that later requests lack."""
    for name, value in request.values.items():
        yield f"  {name} = {value}"
    for problem in request.cookie_problems:
        yield f"  {_cut(problem)}"
