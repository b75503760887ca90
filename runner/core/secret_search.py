"""Finds a secret in a text in whatever encoding it was printed.

The text and the secret are brought into the same form: encodings undone, ignorable characters left out.
docs/archives.md states what is found and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from runner.core.decoding import (
    MAX_LAYERS,
    Original,
    View,
    blocks,
    decoded,
    without_erased,
    without_ignorable,
    without_quoting,
)

MIN_MASKED_LENGTH: Final = 4
"""Shorter values are not masked: replacing every 1 in a log would make it unreadable."""
MIN_PART: Final = 20
"""A part of a longer value of this many characters is masked too."""
MIN_CUT: Final = 8
"""The beginning of a value at the end of a text, and its end at the beginning, from this length on."""

_MIN_INTERRUPTED: Final = 8
_GRAM: Final = MIN_PART // 2
_MAX_BLOCKS: Final = 3
_MAX_SWALLOWED: Final = 6
_MAX_TOKEN: Final = 48
_IN_TOKENS: Final = b"0123456789ABCDEFabcdefuUxnrtv"
_BEGIN_TOKENS: Final = (b"", b"%", b"\\", b"&", b"=")
_INVISIBLE_BYTES: Final = (
    b"\xe2\x80\x81\xef\xbb\xbf\xc2\xad" + bytes(range(0x8B, 0x90)) + bytes(range(0xA0, 0xA5))
)
_READABLE: Final = ((b"\t\n\r" + bytes(range(32, 127)), 16), (bytes(range(127)) + _INVISIBLE_BYTES, 32))
"""What decoded bytes must contain so that another encoding is looked for in them: a run of these bytes."""
_MARKS: Final = tuple(
    (bytes(byte in readable for byte in range(256)), bytes((1,)) * run) for readable, run in _READABLE
)
_WHITE_SPACE: Final = b" \t\r\n+"
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


class Needle(NamedTuple):
    """One form of a secret.

    Attributes:
        form: As `Layer.view` has it.
        lost_space: Whether the secret has white space that the form has not.
        before: What an encoding that begins before the secret may have swallowed of it.
        behind: What one that ends behind it may have.
    """

    form: bytes
    lost_space: bool
    before: bytes = b""
    behind: bytes = b""

    @property
    def is_cut(self) -> bool:
        """Whether something was swallowed."""
        return bool(self.before or self.behind)

    def whole(self, layer: Layer) -> Iterator[tuple[int, int]]:
        """Yield where in the text all of it is."""
        data = layer.view.data
        at = data.find(self.form)
        while at >= 0:
            end = at + len(self.form)
            if self.is_cut:
                yield from self._completed(layer, at, end)
            elif self._fits(layer, at, end):
                yield layer.view.origin(at, end)
            at = data.find(self.form, at + 1)

    def _fits(self, layer: Layer, start: int, end: int) -> bool:
        """Return whether a match of a short secret may have white space in it."""
        if len(self.form) >= _MIN_INTERRUPTED:
            return True
        first, last = _back_to(layer.view, layer.spaced, start, end)
        inside = layer.spaced.data[first:last]
        spaced = _has_space(inside)
        return len(inside) > len(self.form) if self.lost_space else spaced == _has_space(self.form)

    def _completed(self, layer: Layer, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield a match together with what was swallowed, if that is beside it."""
        view: View | None = layer.view if layer.is_decoded else None
        while view is not None:
            first, last, data = start, end, view.data
            if self.before:
                first = data.rfind(self.before, max(0, first - _MAX_TOKEN), first)
            if self.behind:
                last = data.find(self.behind, last, last + _MAX_TOKEN) + len(self.behind)
            if 0 <= first < last:
                yield view.origin(first, last)
                return
            start, end = view.source(start, end)
            view = view.parent

    def cut_off(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield its beginning at the end of some bytes, and its end at their beginning."""
        longest = min(len(self.form) - 1, len(data), MIN_PART)
        for size in range(longest, MIN_CUT - 1, -1):
            if data.endswith(self.form[:size]):
                yield len(data) - size, len(data)
                break
        for size in range(longest, MIN_CUT - 1, -1):
            if data.startswith(self.form[-size:]):
                yield 0, size
                break


class Search:
    """Looks for some secrets.

    Args:
        values: Name to value; values that are too short are not looked for.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        named = [(name, needle) for name, value in values.items() for needle in needles(value)]
        self._cut = [(name, needle) for name, needle in named if needle.is_cut]
        self._named = [(name, needle) for name, needle in named if not needle.is_cut]
        self._short = [(name, needle) for name, needle in self._named if len(needle.form) < MIN_PART]
        self._grams: dict[bytes, list[tuple[str, bytes, int, int]]] = {}
        for name, needle in self._named:
            if len(needle.form) >= MIN_PART:
                for gram, (first, last) in _grams(needle.form).items():
                    self._grams.setdefault(gram, []).append((name, needle.form, first, last))

    def spans(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and name of every place in a text where a secret, or a part of one, is."""
        if not self._named:
            return
        for layer in layers(text):
            for name, needle in self._short + (self._cut if layer.is_decoded else []):
                yield from ((start, end, name) for start, end in needle.whole(layer))
            for start, end, name in self._in(layer.view.data):
                yield *layer.view.origin(start, end), name

    def _in(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        for name, needle in self._named:
            yield from ((start, end, name) for start, end in needle.cut_off(data))
        if self._grams:
            yield from self._parts(data)

    def _parts(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield the parts of long secrets in some bytes; it is enough to look at every `_GRAM`-th place."""
        grams = self._grams
        hits = [at for at in range(0, len(data) - _GRAM + 1, _GRAM) if data[at : at + _GRAM] in grams]
        done: dict[bytes, int] = {}
        for at in hits:
            for name, form, first, last in grams[data[at : at + _GRAM]]:
                if at < done.get(form, 0):
                    continue
                start = at - _common_end(data[max(0, at - MIN_PART) : at], form[:last])
                end = at + _common_beginning(data, at, form, first)
                if end - start >= MIN_PART:
                    done[form] = end
                    yield start, end, name


def _grams(form: bytes) -> dict[bytes, tuple[int, int]]:
    """Return the first and the last place of every `_GRAM` bytes of a secret."""
    places: dict[bytes, tuple[int, int]] = {}
    for at in range(len(form) - _GRAM + 1):
        gram = form[at : at + _GRAM]
        places[gram] = (places.get(gram, (at, at))[0], at)
    return places


@lru_cache(maxsize=16)
def search_for(values: tuple[tuple[str, str], ...]) -> Search:
    """Return what looks for these names and values; preparing it takes time in proportion to their length."""
    return Search(dict(values))


def needles(value: str) -> tuple[Needle, ...]:
    """Return the forms of a secret, none if it is too short."""
    found: dict[tuple[bytes, bytes, bytes], Needle] = {}
    for text in dict.fromkeys((value, value.strip(), *_passwords(value))):
        if len(text.strip()) >= MIN_MASKED_LENGTH:
            for raw in _encoded(text):
                for needle in _forms(raw):
                    found.setdefault((needle.form, needle.before, needle.behind), needle)
    return tuple(found.values())


def _passwords(value: str) -> list[str]:
    try:
        password = urlsplit(value.strip()).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _encoded(text: str) -> Iterator[bytes]:
    yield text.encode(errors="surrogateescape" if _is_escaped(text) else "surrogatepass")
    if not text.isascii():
        for charset in ("latin-1", "utf-16-le", "utf-16-be"):
            try:
                yield text.encode(charset)
            except UnicodeEncodeError:
                continue


def _is_escaped(text: str) -> bool:
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _forms(raw: bytes) -> Iterator[Needle]:
    """Yield a secret as it is, and with encodings undone and ignorable characters left out."""
    spaced = _has_space(raw)
    yield Needle(raw, lost_space=False)
    for drop_letters in (False, True):
        current: View | None = Original(raw)
        for _ in range(MAX_LAYERS):
            if current is None:
                break
            plain = without_ignorable(current)
            form = without_quoting(plain).data
            if len(form) >= MIN_MASKED_LENGTH:
                yield Needle(form, spaced and not _has_space(form))
                yield from _cut_forms(plain.data)
            current = decoded(plain, drop_letters=drop_letters)


def _cut_forms(plain: bytes) -> Iterator[Needle]:
    """Yield the forms of a short secret of which the text beside it has swallowed something."""
    if len(plain) >= MIN_PART + _MAX_SWALLOWED:
        return
    sizes = range(1, _MAX_SWALLOWED + 1)
    ends = [(plain[:size], b"") for size in sizes] + [(b"", plain[-size:]) for size in sizes]
    for before, behind in ends:
        form = without_quoting(Original(plain[len(before) : len(plain) - len(behind)])).data
        may_be_swallowed = not before.translate(None, _IN_TOKENS) and behind[:1] in _BEGIN_TOKENS
        if may_be_swallowed and len(form) >= _MIN_INTERRUPTED:
            yield Needle(form, False, before, behind)


def _back_to(view: View, ancestor: View, start: int, end: int) -> tuple[int, int]:
    while view is not ancestor and view.parent is not None:
        start, end = view.source(start, end)
        view = view.parent
    return start, end


def _has_space(data: bytes) -> bool:
    return len(data) > len(data.translate(None, _WHITE_SPACE))


def _common_beginning(left: bytes, left_at: int, right: bytes, right_at: int) -> int:
    """Return how many bytes two texts have in common from these places on."""
    size, step = 0, 64
    while step:
        a = left[left_at + size : left_at + size + step]
        if len(a) == step and a == right[right_at + size : right_at + size + step]:
            size += step
            step *= 2
        else:
            step //= 2
    return size


def _common_end(left: bytes, right: bytes) -> int:
    size = 0
    while size < min(len(left), len(right), MIN_PART) and left[-1 - size] == right[-1 - size]:
        size += 1
    return size
