"""The forms in which a program prints a secret: as it is, escaped, percent-encoded, base64, hexadecimal.

A form is a regular expression per character, so that mixed and nested encodings match as well.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

MIN_MASKED_LENGTH: Final = 4
"""Shorter values are not masked: replacing every 1 in a log would make it unreadable."""

_PIECE: Final = 96
"""Longer values are matched in pieces of this many characters, so that a part of one is found too."""
_MIN_LINE: Final = 16
"""Lines of a value, such as a private key, that are printed one by one."""
_MIN_ENCODED: Final = 4
_ANYWHERE: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\\]{0,8}"
"""Control characters, and the backslashes of nested quoting."""
_WRAPPED: Final = r"(?:\\{0,8}[\r\nrn]){0,2}"
_BASE64: Final = {"+": r"(?:[+\-]|%2[Bb])", "/": r"(?:\\{0,8}/|_|%2[Ff])"}
_BASE64_MORE: Final = r"[A-Za-z0-9+/_\-]{0,3}"
_NAMED: Final = dict(zip("\n\r\t\f\b\v\a\0", "nrtfbva0", strict=True))


@lru_cache(maxsize=64)
def forms(value: str) -> tuple[re.Pattern[str], ...]:
    """Return patterns that match a value, and longer parts of it, in every form."""
    return tuple(re.compile(pattern) for part in dict.fromkeys(_parts(value)) for pattern in _patterns(part))


def _parts(value: str) -> Iterator[str]:
    """Yield the texts to look for: the value, its long lines, and the password of a URL."""
    texts = [value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= _MIN_LINE)]
    texts += _passwords(value)
    for text in texts:
        if len(text) >= MIN_MASKED_LENGTH:
            yield from _pieces(text)


def _pieces(text: str) -> Iterator[str]:
    """Yield equal pieces of a long text; none is much shorter than the others."""
    count = -(-len(text) // _PIECE)
    size = -(-len(text) // count)
    yield from (text[at : at + size] for at in range(0, len(text), size))


def _passwords(value: str) -> list[str]:
    try:
        password = urlsplit(value.strip()).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _patterns(text: str) -> Iterator[str]:
    yield _ANYWHERE.join(map(_character, text))
    raw = text.encode(errors="surrogateescape")
    for before in range(3):
        encoded = b64encode(bytes(before) + raw).decode().rstrip("=")
        # the first and the last digit may hold bits of what stands beside the value
        core = encoded[(0, 2, 3)[before] : len(encoded) - (((before + len(raw)) % 3) != 0)]
        if len(core) >= _MIN_ENCODED:
            digits = _WRAPPED.join(_BASE64.get(digit, digit) for digit in core)
            yield f"{_BASE64_MORE}{digits}{_BASE64_MORE}(?:=|%3[Dd]){{0,2}}"
    pairs = r"[:\s]?".join(f"{byte:02x}" for byte in raw)
    yield f"(?i:{pairs})"


def _character(character: str) -> str:
    """Return a pattern for one character in every encoding of it."""
    if character.isascii() and character.isalnum():
        return character
    raw = character.encode(errors="surrogateescape")
    forms = [
        re.escape(character),
        "".join(rf"%(?:25){{0,4}}(?i:{byte:02x})" for byte in raw),
        "".join(rf"\\{{1,8}}u(?i:{unit})" for unit in _utf16(character)),
        "".join(rf"\\{{1,8}}x(?i:{byte:02x})" for byte in raw),
        rf"\\{{1,8}}x(?i:{ord(character):02x})",
        rf"&\#(?:0{{0,4}}{ord(character)}|(?i:x0{{0,4}}{ord(character):x}));",
    ]
    if character in _NAMED:
        forms.append(rf"\\{{1,8}}{_NAMED[character]}")
    if character == "\n":
        forms.append(r"\r\n")
    if character == " ":
        forms.append(r"\+")
    if character == "\\":
        forms.append(r"\\{1,8}")
    if (escaped := html.escape(character)) != character:
        forms.append(re.escape(escaped))
    return f"(?:{'|'.join(forms)})"


def _utf16(character: str) -> list[str]:
    units = character.encode("utf-16-be", errors="surrogatepass").hex()
    return [units[at : at + 4] for at in range(0, len(units), 4)]
