"""Reads the output of tasks through the manager."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from runner.core.units import Bytes
from runner.stack.docker.bounded_client import BoundedClient
from runner.stack.output import printable

_HEADER: Final = struct.Struct(">4xL")
_MAX_LINE: Final[Bytes] = 4_096


def last_lines(api: BoundedClient, task_id: str, lines: int) -> tuple[str, ...]:
    """Return the last lines that a task has written to both of its output streams.

    Raises:
        docker.errors.APIError: The manager does not know the task.
    """
    content = api.task_log(task_id, lines)
    text = b"".join(_frames(content)).decode(errors="replace")
    return tuple(printable(line[:_MAX_LINE]) for line in text.splitlines()[-lines:])


def _frames(content: bytes) -> Iterator[bytes]:
    """Yield the content of complete frames."""
    at = 0
    while at + _HEADER.size <= len(content):
        (size,) = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        yield content[at : at + size]
        at += size
