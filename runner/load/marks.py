"""Marks in a text where values that differ by arrival will stand."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from itertools import chain, groupby
from typing import Final

from runner.core.template import Position, Reference, assembled
from runner.load.inputs import Constant
from runner.load.rendering import BodyLength, Piece, Value
from runner.load.values import encoder

_MARK: Final = secrets.token_hex(16)
_BODY_LENGTH: Final = "body"
_MARKED: Final = re.compile(f"<{_MARK}:([0-9]+|{_BODY_LENGTH})>")


class Marks:
    """Inserts the values that are the same for every arrival, and marks the others.

    Args:
        values: Name of a variable to the value that it has for every arrival.
    """

    def __init__(self, values: Mapping[str, Constant]) -> None:
        self._values = values
        self._marked: list[Value] = []

    def fill(self, text: str, position: Position) -> str:
        """Return a template as it is sent, with marks."""
        return assembled(text, position, self._insert)

    def _insert(self, reference: Reference, position: Position) -> str:
        if reference.name in self._values:
            return encoder(position)(self._values[reference.name]).decode()
        self._marked.append(Value(reference.name, reference.path, position))
        return f"<{_MARK}:{len(self._marked) - 1}>"

    def body_length(self, body: Iterable[Piece]) -> str:
        """Return the length of a body, or a mark if it differs by arrival."""
        length = 0
        for piece in body:
            if not isinstance(piece, bytes):
                return f"<{_MARK}:{_BODY_LENGTH}>"
            length += len(piece)
        return str(length)

    def split(self, content: str | bytes) -> list[Piece]:
        """Return the pieces of a text with marks; a file has none."""
        if isinstance(content, bytes):
            return [content]
        pieces: list[Piece] = []
        at = 0
        for marked in _MARKED.finditer(content):
            pieces.append(content[at : marked.start()].encode())
            pieces.append(BodyLength(0) if marked[1] == _BODY_LENGTH else self._marked[int(marked[1])])
            at = marked.end()
        return [*pieces, content[at:].encode()]


def joined(head: Iterable[Piece], body: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces of a request, as few as possible; only one if all are constant."""
    before, after = _merged(head), _merged(body)
    if all(isinstance(piece, bytes) for piece in chain(before, after)):
        return tuple(_merged([*before, *after]))
    return tuple(
        BodyLength(len(before)) if isinstance(piece, BodyLength) else piece for piece in [*before, *after]
    )


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for is_constant, group in groupby(pieces, lambda piece: isinstance(piece, bytes)):
        if is_constant:
            merged.append(b"".join(piece for piece in group if isinstance(piece, bytes)))
        else:
            merged += group
    return merged
