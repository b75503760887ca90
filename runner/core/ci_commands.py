"""Lines that a CI system would take as commands when they are in its log."""

from __future__ import annotations

import re
from typing import Final

_COMMAND: Final = re.compile(r"^\s*:(?=:)|#(?=#\w*\[)")
"""Of GitHub Actions, Gitea and Forgejo at the start of a line; of Azure and older ones anywhere in it."""


def without_ci_commands(line: str) -> str:
    """Return a line with a space inside everything that would be a command, such as ``::error::``."""
    if "::" not in line and "##" not in line:  # many times faster, and a list of runs has 10,000 rows
        return line
    return _COMMAND.sub(r"\g<0> ", line)
