"""Decodes untrusted bytes: UTF-8 without the characters that YAML does not allow."""

from __future__ import annotations

import codecs
from typing import Final

from runner.experiment.problems import Refused, lines_of
from runner.experiment.yaml.tree import Mark

MAX_BYTES: Final = 1024 * 1024

_FIRST: Final = Mark(1, 1)
_OTHER_ENCODINGS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALLOWED: Final = (
    ("\t", "\n"), ("\r", "\r"), (" ", "~"), ("\xa0", "\u2027"), ("\u202a", "\ud7ff"),
    ("\ue000", "\ufefe"), ("\uff00", "\ufffd"), ("\U00010000", "\U0010ffff"),
)  # fmt: skip
"""Ranges of characters. As a regular expression they take 15 ms to compile, in every start of the program."""


def decode(raw: bytes) -> str:
    """Return the file as text; `Refused` if it is too large, not UTF-8, or has characters YAML forbids."""
    if len(raw) > MAX_BYTES:
        raise Refused(_FIRST, "", f"the file is larger than {MAX_BYTES // 1024**2} MiB")
    if raw.startswith(_OTHER_ENCODINGS):
        raise Refused(_FIRST, "", "the file is not UTF-8", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = _mark_at(raw[: error.start].decode("utf-8-sig", "replace"))
        raise Refused(mark, "", "the file is not UTF-8", "save it as UTF-8") from None
    if (index := _first_forbidden(text)) is not None:
        code = ord(text[index])
        hint = f'write it as "\\u{code:04x}" in double quotes, or remove it'
        raise Refused(_mark_at(text[:index]), "", f"the character U+{code:04X} is not allowed in YAML", hint)
    return text


def _first_forbidden(text: str) -> int | None:
    """Return the index of the first character that YAML does not allow."""
    forbidden = (c for c in set(text) if not any(low <= c <= high for low, high in _ALLOWED))
    return min(map(text.index, forbidden), default=None)


def _mark_at(before: str) -> Mark:
    lines = lines_of(before)
    return Mark(len(lines), len(lines[-1]) + 1)
