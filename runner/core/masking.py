"""Replaces the values of secrets by their names in everything that a program or a server printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runner.core.secret_forms import forms

_ESCAPES: Final = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC, such as a window title or a link
    r"|\x1b[PX^_][^\x1b\n]*\x1b\\"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI, such as a colour
    r"|\x1b."
)
_MIN_CUT_LENGTH: Final = 8
_MARGIN_PER_CHARACTER: Final = 16
_MARGIN: Final = 4096


def without_escapes(text: str) -> str:
    """Return a text without the escape sequences of terminals."""
    return _ESCAPES.sub("", text)


def mask_secrets(text: str, values: Mapping[str, str], *, keep: int | None = None) -> str:
    """Return a text without escape sequences, in which the names of secrets in brackets replace their values.

    A value is found as it is, JSON-escaped, percent-encoded, as HTML, in base64 and hexadecimal; so are a
    line of it, its beginning where the text ends, and its end where the text begins.

    Args:
        text: Output of a program, or a response.
        values: Name to value.
        keep: Return only the end of the text, from this many characters before it; None for all. A value
            that begins before them is masked as well.
    """
    plain = without_escapes(text)
    at = 0 if keep is None else max(0, len(plain) - keep)
    masked: list[str] = []
    for start, end, name in _merged(plain, values):
        if end > at:
            masked += [plain[at : max(at, start)], f"[{name}]"]
            at = end
    return "".join(masked) + plain[at:]


def margin(values: Mapping[str, str]) -> int:
    """Return how many bytes before a kept part are needed to find a value that begins there."""
    longest = max((len(value.encode(errors="replace")) for value in values.values()), default=0)
    return _MARGIN + _MARGIN_PER_CHARACTER * longest if longest else 0


def _merged(text: str, values: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and name of what is masked, in order; spans that overlap or touch become one."""
    spans = sorted(_spans(text, values), key=lambda span: (span[0], -span[1]))
    merged: tuple[int, int, str] | None = None
    for start, end, name in spans:
        if merged and (start < merged[1] or (start == merged[1] and name == merged[2])):
            merged = (merged[0], max(merged[1], end), merged[2])
            continue
        if merged:
            yield merged
        merged = (start, end, name)
    if merged:
        yield merged


def _spans(text: str, values: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    for name, value in values.items():
        for pattern in {*forms(value), *forms(without_escapes(value))}:
            yield from ((match.start(), match.end(), name) for match in pattern.finditer(text))
        bare = value.strip()
        lengths = range(min(len(bare), len(text)), _MIN_CUT_LENGTH - 1, -1)
        if beginning := next((n for n in lengths if text.endswith(bare[:n])), 0):
            yield len(text) - beginning, len(text), name
        if ending := next((n for n in lengths if text.startswith(bare[-n:])), 0):
            yield 0, ending, name
