"""Words for people: the nearest one, a list of them, and a value shown without harm."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LONGEST_SHOWN: Final = 60
_LONGEST_COMPARED: Final = 40
_ALIKE: Final = 0.6


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, None when nothing is near."""
    if len(word) > _LONGEST_COMPARED:
        return None
    by_fold = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(word.casefold(), by_fold, n=1, cutoff=_ALIKE)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A question with the nearest choice in it, or an empty string."""
    near = nearest(word, choices)
    return f"did you mean '{near}'?" if near is not None else ""


def either(words: Iterable[str], joint: str = "or") -> str:
    """``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} {joint} {last}" if most else last


def harmless(text: str) -> str:
    """The text on one line, with what a terminal would act on made visible."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shown(value: object) -> str:
    """A value from a file as it may stand in a message: quoted, shortened, harmless."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            text = harmless(value[: _LONGEST_SHOWN + 1])
            return f"'{text}'" if len(value) <= _LONGEST_SHOWN else f"'{text[:_LONGEST_SHOWN]}…'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)
