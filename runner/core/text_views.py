"""Views of a text with its encodings undone, each of which can tell where in the text it comes from.

Searches are frequent and matches are rare, so positions in the original text are computed only for matches.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable


class View(ABC):
    """Bytes that come from a parent's bytes.

    Attributes:
        data: What is searched.
        parent: Where it comes from, None for the text itself.
    """

    __slots__ = ("data", "parent")

    def __init__(self, data: bytes, parent: View | None) -> None:
        self.data, self.parent = data, parent

    @abstractmethod
    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the parent from which a span that is not empty comes."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the text from which a span that is not empty comes."""
        view = self
        while view.parent is not None:
            start, end = view.source(start, end)
            view = view.parent
        return start, end


class Original(View):
    """The text itself."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(data, None)

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return the same span."""
        return start, end


class Without(View):
    """A view without some byte values."""

    __slots__ = ("_deleted", "_kept")

    def __init__(self, parent: View, deleted: bytes, table: bytes | None = None) -> None:
        super().__init__(parent.data.translate(table, deleted), parent)
        self._deleted = deleted
        self._kept: list[int] = []

    def source(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        if not self._kept and self.parent is not None:
            gone = frozenset(self._deleted)
            self._kept = [at for at, byte in enumerate(self.parent.data) if byte not in gone]
        return self._kept[start], self._kept[end - 1] + 1


class Substituted(View):
    """A view in which what a pattern matches is replaced."""

    __slots__ = ("_pattern", "_replace", "_starts", "_tokens")

    def __init__(
        self, parent: View, pattern: re.Pattern[bytes], replace: Callable[[re.Match[bytes]], bytes]
    ) -> None:
        super().__init__(pattern.sub(replace, parent.data), parent)
        self._pattern, self._replace = pattern, replace
        self._starts: list[int] = []
        self._tokens: list[tuple[int, int, int]] = []

    def source(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        if not self._starts:
            self._locate()
        return self._span(start)[0], self._span(end - 1)[1]

    def _locate(self) -> None:
        """List the pieces: where each begins here and in the parent, and the end of one that was replaced."""
        at = shift = 0
        parent = self.parent.data if self.parent else b""
        for match in self._pattern.finditer(parent):
            self._piece(at + shift, at, -1)
            replacement = self._replace(match)
            if replacement:
                self._piece(match.start() + shift, match.start(), match.end())
            at = match.end()
            shift += len(replacement) - (match.end() - match.start())
        self._piece(at + shift, at, -1)

    def _piece(self, here: int, start: int, end: int) -> None:
        self._starts.append(here)
        self._tokens.append((here, start, end))

    def _span(self, at: int) -> tuple[int, int]:
        here, start, end = self._tokens[bisect_right(self._starts, at) - 1]
        return (start, end) if end >= 0 else (start + at - here, start + at - here + 1)


class FromDigits(View):
    """What digits of a power of two stand for, such as those of base64.

    Args:
        parent: Digits, and nothing else.
        digit_bits: Bits of each.
        phase: How many digits to leave out at the beginning.
        decode: Returns what digits stand for.
    """

    __slots__ = ("_bits", "_phase")

    def __init__(self, parent: View, digit_bits: int, phase: int, decode: Callable[[bytes], bytes]) -> None:
        super().__init__(decode(parent.data[phase:]), parent)
        self._bits, self._phase = digit_bits, phase

    def source(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        return self._phase + 8 * start // self._bits, self._phase + (8 * end - 1) // self._bits + 1
