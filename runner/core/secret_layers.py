"""The forms of a text in which secrets are looked for: encodings undone, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.core.decoding import (
    MAX_LAYERS,
    blocks,
    decoded,
    without_erased,
    without_ignorable,
    without_quoting,
)
from runner.core.text_views import Original, View

_MAX_BLOCKS: Final = 3
_INVISIBLE_BYTES: Final = (
    b"\xe2\x80\x81\xef\xbb\xbf\xc2\xad" + bytes(range(0x8B, 0x90)) + bytes(range(0xA0, 0xA5))
)
_READABLE: Final = ((b"\t\n\r" + bytes(range(32, 127)), 16), (bytes(range(127)) + _INVISIBLE_BYTES, 32))
"""What decoded bytes must contain so that another encoding is looked for in them: a run of these bytes."""
_MARKS: Final = tuple(
    (bytes(byte in readable for byte in range(256)), bytes((1,)) * run) for readable, run in _READABLE
)
_WORK_PER_BYTE: Final = 400
_LEAST_WORK: Final = 1 << 20


class Layer:
    """One form of the text.

    Attributes:
        view: What is searched.
        is_decoded: Whether encodings of single characters were undone.
        spaced: The view with white space and quoting.
    """

    __slots__ = ("is_decoded", "spaced", "view")

    def __init__(self, view: View, spaced: View, *, is_decoded: bool = False) -> None:
        self.view, self.spaced, self.is_decoded = view, spaced, is_decoded


def layers(text: bytes) -> Iterator[Layer]:
    """Yield the forms of a text in which its secrets are to be looked for; their total size is bounded."""
    original = Original(text)
    work = [_WORK_PER_BYTE * len(text) + _LEAST_WORK]
    yield from _explore(original, _MAX_BLOCKS, work)
    if b"\x08" in text:
        yield from _explore(without_erased(original), _MAX_BLOCKS, work)


def _explore(view: View, depth: int, work: list[int]) -> Iterator[Layer]:
    seen: set[bytes] = set()
    yield Layer(view, view)
    yield from _peel(view, depth, work, seen, drop_letters=False)
    if b"\\" in view.data or len(seen) > 1:
        yield from _peel(view, depth, work, seen, drop_letters=True)


def _peel(
    view: View, depth: int, work: list[int], seen: set[bytes], *, drop_letters: bool
) -> Iterator[Layer]:
    """Undo encodings of single characters, layer by layer, and look for others inside each."""
    current: View | None = view
    for _ in range(MAX_LAYERS):
        if current is None:
            return
        plain = without_ignorable(current)
        work[0] -= len(plain.data)
        if work[0] < 0:
            return
        if plain.data not in seen:
            seen.add(plain.data)
            yield Layer(without_quoting(plain), current, is_decoded=current is not view)
            yield from _inside(plain, depth, work)
        current = decoded(plain, drop_letters=drop_letters)


def _inside(plain: View, depth: int, work: list[int]) -> Iterator[Layer]:
    for block in blocks(plain) if depth else ():
        work[0] -= len(block.data)
        if work[0] > 0 and _is_readable(block.data):
            yield from _explore(block, depth - 1, work)
        else:
            yield Layer(block, block)
            yield Layer(without_quoting(without_ignorable(block)), block)


def _is_readable(data: bytes) -> bool:
    return any(run in data.translate(marks) for marks, run in _MARKS)
