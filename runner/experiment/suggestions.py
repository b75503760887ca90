"""Text for error messages and names: the closest known word, lists of words, safe display of values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MAX_DISPLAYED: Final = 60
_MAX_COMPARED: Final = 40
_MIN_SIMILARITY: Final = 0.6


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a question that suggests the most similar choice; empty if none is similar."""
    if len(word) > _MAX_COMPARED:
        return ""
    from difflib import get_close_matches  # noqa: PLC0415  (only a message about an error needs it)

    by_folded = {choice.casefold(): choice for choice in choices}
    matches = get_close_matches(word.casefold(), by_folded, n=1, cutoff=_MIN_SIMILARITY)
    return f"did you mean '{by_folded[matches[0]]}'?" if matches else ""


def join_words(words: Iterable[str], conjunction: str = "or") -> str:
    """Return ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def slug(text: str) -> str:
    """Return text as a part of a name: ``keep-alive``, ``0-5``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def harmless(text: str) -> str:
    """Return the text on one line, with terminal control characters replaced."""
    if text.isprintable():  # a hundred times faster, and a list of runs has 10,000 rows
        return str(text)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def display(value: object) -> str:
    """Return a value from a file for use in a message: quoted, shortened, without control characters."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            text = harmless(value[: _MAX_DISPLAYED + 1])
            return f"'{text}'" if len(value) <= _MAX_DISPLAYED else f"'{text[:_MAX_DISPLAYED]}…'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)
