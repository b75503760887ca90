"""The types of unquoted words: the core schema of YAML 1.2, without the surprises of 1.1.

``on``, ``yes``, ``1:30``, ``2024-01-01``, ``010`` and ``1_000`` are text. Numbers with more digits
than any field needs are text too, so that none overflows.
"""

from __future__ import annotations

import re
from typing import Final, Self

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,2})?")
_OLD_OCTAL: Final = re.compile(r"[-+]?0[0-9]+")


class WrittenFloat(float):
    """A number that keeps its spelling, so that ``env: {GO: 1.10}`` stays ``1.10``."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Return the number for `text`."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def resolve(text: str) -> bool | float | str | None:
    """Return the value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _DECIMAL.fullmatch(text) and not _OLD_OCTAL.fullmatch(text):
        return WrittenFloat(text)
    return text


def written(value: object) -> object:
    """Return a number or boolean as the text in the file; other values unchanged."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, WrittenFloat):
        return value.text
    return str(value) if isinstance(value, int | float) else value
