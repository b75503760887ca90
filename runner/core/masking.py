"""Replaces the values of secrets by their names in everything that a program or a server printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runner.core.secret_search import search_for

_ESCAPES: Final = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\|\x9c)"  # OSC, such as a window title or a link
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*+(?:\x1b\\|\x9c)"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI, such as a colour
    r"|\x1b[ -/]*[0-~]"
)
_MARGIN_PER_CHARACTER: Final = 16
_MARGIN: Final = 4096
_MAX_MARGIN: Final = 64 * 1024


def without_escapes(text: str) -> str:
    """Return a text without the escape sequences of terminals."""
    return _ESCAPES.sub("", text)


def mask_secrets(text: str, values: Mapping[str, str]) -> str:
    """Return a text in which the names of secrets in brackets replace their values; the rest stays as it is.

    A value is found in every encoding that `runner.core.secret_search` can undo; so are a part of a long
    one, its beginning where the text ends, and its end where the text begins.

    Args:
        text: Output of a program, or a response.
        values: Name to value.
    """
    errors = _errors(text)
    data = text.encode(errors=errors)
    return mask_bytes(data, values).decode(errors=errors) if data else ""


def mask_bytes(data: bytes, values: Mapping[str, str], *, keep: int | None = None) -> bytes:
    """Return some bytes with secrets masked; see `mask_secrets`.

    Args:
        data: Output of a program.
        values: Name to value.
        keep: How many bytes of the end to return, None for all. A value that begins before them is masked
            as well.
    """
    at = 0 if keep is None else max(0, len(data) - keep)
    masked: list[bytes] = []
    for start, end, name in _merged(data, values):
        if end > at:
            masked += [data[at : max(at, start)], f"[{name}]".encode()]
            at = end
    return b"".join(masked) + data[at:]


def mask_lines(lines: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return lines with secrets masked, also those that go over several lines."""
    return tuple(mask_secrets("\n".join(lines), values).split("\n")) if lines else ()


def margin(values: Mapping[str, str]) -> int:
    """Return how many bytes before a kept part are needed to find a value that begins there.

    Of a long value, the kept part contains enough to be found by itself.
    """
    longest = max((len(value.encode(errors="replace")) for value in values.values()), default=0)
    return min(_MARGIN + _MARGIN_PER_CHARACTER * longest, _MAX_MARGIN) if longest else 0


def _errors(text: str) -> str:
    """Return how a text can be encoded and decoded without loss."""
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return "surrogatepass"
    return "surrogateescape"


def _merged(data: bytes, values: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and name of what is masked, in order; spans that overlap or touch become one."""
    spans = sorted(set(search_for(tuple(values.items())).spans(data)), key=lambda span: (span[0], -span[1]))
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
