"""The names that a file in an archive may have: those that are safe and the same on every system."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from runner.experiment.suggestions import harmless

_MAX_LENGTH: Final = 240
_PART: Final = re.compile(r"[A-Za-z0-9_+=@%,()\[\] -][A-Za-z0-9._+=@%,()\[\] -]*")


def fault_of(name: str) -> str:
    """Return why a name is not safe; empty if it is."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "it is an absolute path"
    if "\\" in name:
        return "it has a backslash"
    parts = name.split("/")
    if ".." in parts:
        return "it points outside the archive"
    if name.endswith("/"):
        return "it is a folder"
    if len(name) > _MAX_LENGTH or any(not _PART.fullmatch(part) or part != part.strip() for part in parts):
        return "it is not a plain name"
    return ""


def shown(text: str) -> str:
    """Return a text of an archive for use in a message: on one line and not longer than a name may be."""
    return harmless(text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…")


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return a name that equals an earlier one, ignoring case; None without one."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None
