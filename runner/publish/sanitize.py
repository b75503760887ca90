"""Removes from Markdown whatever acts on the platform where it is posted.

A comment is read by machines too: mentions notify people, ``#1`` and ``!1`` link other work, bare addresses
become links, and a line that begins with ``/`` is a command to GitLab. Escaping does not prevent that,
because platforms look for these after rendering; an invisible space does. Whole rendered sections are
sanitized, so that no text of the results can be forgotten.
"""

from __future__ import annotations

import re
from typing import Final

from runner.report.markdown_text import Markdown

_GAP: Final = "\u200b"
_INVISIBLE: Final = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_REFERENCES: Final = re.compile(r"([@#!$%~]|&(?!(?:amp|lt|gt);)|\bGH-)(?=\\?\w)", re.IGNORECASE)
_LINKS: Final = re.compile(r"(:(?=\\?/\\?/)|\bwww(?=\\?\.))", re.IGNORECASE)
_COMMAND: Final = re.compile(r"^(\s*)/", re.MULTILINE)


def sanitized(text: str) -> Markdown:
    """Return Markdown that looks the same and contains no mention, reference, bare link or control character.

    Args:
        text: Markdown; intended links must be added afterwards.
    """
    text = _REFERENCES.sub(rf"\1{_GAP}", visible(text))
    return Markdown(_LINKS.sub(rf"\1{_GAP}", text))


def visible(text: str) -> str:
    """Return text without characters that are invisible or change the direction of writing."""
    return _INVISIBLE.sub("", text)


def without_commands(text: str) -> str:
    """Return a comment in which no line begins with a slash."""
    return _COMMAND.sub(rf"\1{_GAP}/", text)
