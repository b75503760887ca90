"""Undoes the encodings of a text, one view of it after another."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Final

from runner.core.text_views import FromDigits, Substituted, View, Without

_NAMED: Final = {name.encode(): text.encode() for name, text in html5.items() if name.endswith(";")}
_CONTINUED: Final = re.compile(rb"[\\=^`]\r?\n[ \t]*")
"""A line that goes on: in C and shells, quoted-printable, cmd and PowerShell."""
_STRING: Final = (
    rb"(?:[^\x07\x1b\n\x90\x98\x9c-\x9f\xc2]|\xc2(?![\x90\x98\x9c-\x9f])|(?<=[\x80-\xc1\xc3-\xff])[\x90\x98\x9c-\x9f])*"
    rb"(?:\x07|\x1b\\|\xc2\x9c|(?<![\x80-\xc1\xc3-\xff])\x9c)"
)
"""Its repetition is not possessive, because Python before 3.11.5 matches such groups wrongly (gh-106052)."""
_ESCAPE_SEQUENCE: Final = re.compile(
    rb"\x1b(?:[\]PX^_]"
    + _STRING
    + rb"|\[[0-?]*[ -/]*[@-~]"  # OSC (a title, a link), DCS, SOS, PM, APC; CSI: a colour
    rb"|[ -/]*[0-~])"  # such as the choice of a character set
)
_C1_SEQUENCE: Final = re.compile(
    rb"[\x90\x98\x9b\x9d-\x9f](?<![\x80-\xc1\xc3-\xff].)(?:(?<=\x9b)[0-?]*[ -/]*[@-~]|(?<!\x9b)"
    + _STRING
    + rb")"
)
"""The same as one control character, in UTF-8 or alone; a byte inside another character is none."""
_INVISIBLE: Final = re.compile(
    rb"[\xc2\xcd\xe1-\xe3\xef](?:(?<=\xe2)(?:\x80[\x80-\x8f\xa8-\xaf]|\x81[\x9f-\xaf])|(?<=\xef)(?:\xbb\xbf|\xb8[\x80-\x8f])"
    rb"|(?<=\xc2)[\x80-\xa0\xad]|(?<=\xcd)\x8f|(?<=\xe1)\xa0\x8e|(?<=\xe3)\x80\x80)"
)
"""Characters of no width, white space and C1 controls in UTF-8."""
_BACKSPACED: Final = re.compile(rb"[^\x08\n]\x08")
_CONTROLS: Final = bytes(
    (*range(0x21), *range(0x7F, 0xA1), 0xAD, 0xC2)
)  # also of UTF-8, whose C1 controls begin with C2
_QUOTING: Final = b"\\'\"`+^="
_PERCENT: Final = re.compile(rb"%(?:25)*(?:u([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))")
_QUOTED_PRINTABLE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_BACKSLASHED: Final = re.compile(
    rb"(?<!\\)\\++(?:u(?:[dD]([89aAbB][0-9A-Fa-f]{2})\\+u[dD]([c-fC-F][0-9A-Fa-f]{2})|([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]{1,6})\})"
    rb"|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2}))"
)
_ENTITY: Final = re.compile(
    rb"&(?:amp;)*(?:#0{0,8}([0-9]{1,7})|#[xX]0{0,8}([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));"
)
_OCTAL: Final = re.compile(rb"(?<!\\)\\++([0-3][0-7]{2})")
_LETTER_ESCAPE: Final = re.compile(rb"(?<!\\)\\++(?:[nrtbfvae]|0(?![0-7]))")
_BYTE_LIST: Final = re.compile(rb"(?<![0-9])([0-9]{1,3})(?:,|(?![0-9]))")
_HAS_BYTE_LIST: Final = re.compile(rb",[0-9]{1,3},[0-9]{1,3},")
_HEX_PREFIX: Final = re.compile(rb"0[xX]|(?<!\\)\\++x")


def without_ignorable(view: View) -> View:
    """Return a view without escape sequences, controls, white space and characters of no width."""
    patterns = (_CONTINUED, _ESCAPE_SEQUENCE) + (() if view.data.isascii() else (_C1_SEQUENCE, _INVISIBLE))
    for pattern in patterns:
        if pattern.search(view.data):
            view = Substituted(view, pattern, _nothing)
    return Without(view, _CONTROLS)


def without_erased(view: View) -> View:
    """Return a view without the characters that a terminal erases because a backspace follows."""
    for _ in range(MAX_LAYERS):
        if not _BACKSPACED.search(view.data):
            break
        view = Substituted(view, _BACKSPACED, _nothing)
    return view


def without_quoting(view: View) -> View:
    """Return a view without what quoting adds; a plus sign is a space in a query, ``=`` fills up base64."""
    return Without(view, _QUOTING)


MAX_LAYERS: Final = 12
"""How many encodings of single characters may be nested in each other."""


def decoded(view: View, *, drop_letters: bool) -> View | None:
    r"""Return a view with one layer of encodings of single characters undone, None if there is none.

    Args:
        view: Without ignorable characters.
        drop_letters: Whether ``\n`` and the like are a control character, and ``\101`` is octal; they may
            be a letter and digits behind a backslash as well.
    """
    data = view.data
    if drop_letters and b"\\" in data and (_OCTAL.search(data) or _LETTER_ESCAPE.search(data)):
        return Substituted(Substituted(view, _OCTAL, _octal_byte), _LETTER_ESCAPE, _control)
    for begin, pattern, character in _CHARACTERS:
        if begin in data and pattern.search(data):
            result = Substituted(view, pattern, character)
            if result.data != data:
                return result
    return None


def _nothing(_: re.Match[bytes]) -> bytes:
    return b""


def _octal_byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 8),))


def _control(match: re.Match[bytes]) -> bytes:
    return b"\n" if match[0][-1:] in b"nrt" else b"\0"


def _percent(match: re.Match[bytes]) -> bytes:
    return _utf8(int(match[1], 16)) if match[1] else _byte(match)


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[match.lastindex or 0], 16),))


def _backslashed(match: re.Match[bytes]) -> bytes:
    index = match.lastindex or 0
    if index == _LOW_SURROGATE:
        high, low = int(match[1], 16), int(match[2], 16)
        return _utf8(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
    return _byte(match) if index == _HEX_BYTE else _utf8(int(match[index], 16))


def _entity(match: re.Match[bytes]) -> bytes:
    if match[3]:
        return _NAMED.get(match[3] + b";", match[0])
    return _utf8(int(match[1])) if match[1] else _utf8(int(match[2], 16))


def _utf8(code_point: int) -> bytes:
    return chr(code_point).encode(errors="surrogatepass") if code_point < 0x110000 else b""


_LOW_SURROGATE, _HEX_BYTE = 2, 6
_CHARACTERS: Final = (
    (b"%", _PERCENT, _percent),
    (b"\\", _BACKSLASHED, _backslashed),
    (b"&", _ENTITY, _entity),
    (b"=", _QUOTED_PRINTABLE, _byte),
)
_EVERY: Final = bytes(range(256))
_HEX: Final = b"0123456789ABCDEFabcdef"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_BASE32: Final = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"abcdefghijklmnopqrstuvwxyz234567")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_BASE32_AS_INT: Final = b"0123456789abcdefghijklmnopqrstuv"


def blocks(view: View) -> Iterator[View]:
    """Yield what the view stands for if it is in base64, base32, hexadecimal, or a list of bytes.

    All other characters are left out first, so that it does not matter where lines were broken; then every
    alignment is tried, so that it does not matter what stands before.
    """
    digits = Without(view, _others(_BASE64), _TO_STANDARD)
    for phase in range(4):
        yield FromDigits(digits, 6, phase, _from_base64)
    for alphabet in _BASE32:
        digits = Without(view, _others(alphabet), bytes.maketrans(alphabet, _BASE32_AS_INT))
        for phase in range(8):
            yield FromDigits(digits, 5, phase, _from_base32)
    plain = Substituted(view, _HEX_PREFIX, _nothing) if _HEX_PREFIX.search(view.data) else view
    digits = Without(plain, _others(_HEX))
    for phase in range(2):
        yield FromDigits(digits, 4, phase, _from_hex)
    if _HAS_BYTE_LIST.search(view.data):
        yield Substituted(view, _BYTE_LIST, _listed_byte)


def _others(digits: bytes) -> bytes:
    return _EVERY.translate(None, digits)


def _from_base64(digits: bytes) -> bytes:
    whole = len(digits) // 4 * 4
    rest = digits[whole:] if len(digits) % 4 > 1 else b""
    return binascii.a2b_base64(digits[:whole] + rest + b"=" * (-len(rest) % 4))


def _from_base32(digits: bytes) -> bytes:
    spare = len(digits) * 5 % 8
    number = int(digits, 32) >> spare if digits else 0
    return number.to_bytes(len(digits) * 5 // 8, "big")


def _from_hex(digits: bytes) -> bytes:
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _listed_byte(match: re.Match[bytes]) -> bytes:
    return bytes((min(int(match[1]), 255),))
