"""Paths in messages: a file name is bytes, and need not be UTF-8."""

from __future__ import annotations

import os
from pathlib import Path


def printable(path: Path) -> str:
    r"""Return a path as text that can be printed and stored, with bytes that are not UTF-8 as in ``\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")
