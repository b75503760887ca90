"""Which names a file in an archive may have: those that mean the same inside a folder on every system."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MOST: Final = 240
_PART: Final = re.compile(r"[A-Za-z0-9_+=@%,()\[\] -][A-Za-z0-9._+=@%,()\[\] -]*")


def fault_of(name: str) -> str:
    """Why a name is not safe; empty when it is."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "it is an absolute path"
    if "\\" in name:
        return "it has a backslash"
    parts = name.split("/")
    if ".." in parts:
        return "it leads out of the archive"
    if name.endswith("/"):
        return "it is a folder"
    if len(name) > _MOST or any(not _PART.fullmatch(part) or part != part.strip() for part in parts):
        return "it is not a plain name"
    return ""


def first_twice(names: Iterable[str]) -> str | None:
    """A name that another one equals, or would equal where upper and lower case are one."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None
