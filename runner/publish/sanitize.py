"""Text from specifications and services loses its power before it is posted under somebody's name.

A comment is read by machines too: mentions notify people, ``#1`` and ``!1`` link other work, bare
addresses become links, and a line that begins with ``/`` is a command to GitLab. A backslash does
not stop those, because they are looked for after Markdown was rendered; an invisible space does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_GAP: Final = "\u200b"
_UNSEEN: Final = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_CALLS: Final = re.compile(r"([@#!$&%~]|\bGH-)(?=\w)", re.IGNORECASE)
_LINKS: Final = re.compile(r"(://|\bwww(?=\.))", re.IGNORECASE)
_COMMAND: Final = re.compile(r"^(\s*)/", re.MULTILINE)
_LONGEST: Final = 2_000


def defused(value: Any) -> Any:
    """JSON in which no text can mention, link or command; long texts are cut."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: defused(each) for key, each in value.items()}
    if isinstance(value, list):
        return [defused(each) for each in value]
    return value


def plain(text: str) -> str:
    """One text made harmless; looks the same to a reader."""
    text = _UNSEEN.sub("", text)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return _LINKS.sub(rf"\1{_GAP}", _CALLS.sub(rf"\1{_GAP}", text))


def without_commands(text: str) -> str:
    """A whole comment in which no line begins with a slash."""
    return _COMMAND.sub(rf"\1{_GAP}/", text)
