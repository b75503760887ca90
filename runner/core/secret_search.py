"""Finds a secret in a text in whatever encoding it was printed.

The text and the secret are brought into the same form: encodings undone, ignorable characters left out.
docs/archives.md states what is found and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from runner.core.secret_forms import MIN_PART, needles
from runner.core.secret_layers import layers

_GRAM: Final = MIN_PART // 2


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
