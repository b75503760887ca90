"""Makes the bytes of a request for each arrival: constant pieces, joined with the encoded values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from runner.core.template import Position
from runner.load.values import Make

Render: TypeAlias = Callable[[int], bytes]
"""Returns the request of an arrival by its number, counted from 0 over all workers, warm-up included."""


class Value(Struct, frozen=True, tag="value"):
    """Where a value stands in a request.

    Attributes:
        variable: Its name.
        path: The part of it; empty for the whole value.
        position: Decides how it is encoded.
    """

    variable: str
    path: str
    position: Position


class BodyLength(Struct, frozen=True, tag="body_length"):
    """Where the length of the body stands in a request.

    Attributes:
        body: Index of the first piece of the body.
    """

    body: int


class BodyPart(Struct, frozen=True, tag="body_part"):
    """Where a part of a file stands in the request of a step.

    Attributes:
        content: Of the file.
        begin: Where the part begins; fewer bytes are sent at the file's end, and none behind it.
        size: Its length in bytes.
    """

    content: bytes
    begin: int | Value
    size: int


Piece: TypeAlias = bytes | Value | BodyLength | BodyPart


def renderer(pieces: Sequence[Piece], make: Callable[[Value | BodyPart], Make]) -> Render:
    """Return what makes a request.

    Args:
        pieces: Of the request, in order.
        make: Returns what makes the values in a place.
    """
    constant = [piece if isinstance(piece, bytes) else b"" for piece in pieces]
    makers = [
        (place, make(piece)) for place, piece in enumerate(pieces) if isinstance(piece, Value | BodyPart)
    ]
    lengths = [(place, piece.body) for place, piece in enumerate(pieces) if isinstance(piece, BodyLength)]
    if not lengths:
        return _without_length(constant, makers)
    ((length_place, body),) = lengths
    fixed = sum(map(len, constant[body:]))
    before = [(place, made) for place, made in makers if place < body]
    inside = [(place, made) for place, made in makers if place >= body]

    def render(k: int) -> bytes:
        parts = constant.copy()
        for place, made in before:
            parts[place] = made(k)
        length = fixed
        for place, made in inside:
            parts[place] = value = made(k)
            length += len(value)
        parts[length_place] = b"%d" % length
        return b"".join(parts)

    return render


def _without_length(constant: list[bytes], makers: Sequence[tuple[int, Make]]) -> Render:
    def render(k: int) -> bytes:
        parts = constant.copy()
        for place, made in makers:
            parts[place] = made(k)
        return b"".join(parts)

    return render
