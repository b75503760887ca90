"""The forms of a secret that are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from runner.core.decoding import MAX_LAYERS, decoded, without_ignorable, without_quoting
from runner.core.secret_layers import Layer
from runner.core.text_views import Original, View

MIN_MASKED_LENGTH: Final = 4
"""Shorter values are not masked: replacing every 1 in a log would make it unreadable."""
MIN_PART: Final = 20
"""A part of a longer value of this many characters is masked too."""
MIN_CUT: Final = 8
"""The beginning of a value at the end of a text, and its end at the beginning, from this length on."""
_MIN_INTERRUPTED: Final = 8
_MAX_SWALLOWED: Final = 6
_MAX_TOKEN: Final = 48
_IN_TOKENS: Final = b"0123456789ABCDEFabcdefuUxnrtv"
_BEGIN_TOKENS: Final = (b"", b"%", b"\\", b"&", b"=")
_WHITE_SPACE: Final = b" \t\r\n+"


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
