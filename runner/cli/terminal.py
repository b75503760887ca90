"""The terminal that a run is shown on, as rich draws it."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from runner.cli.output import is_capable_terminal, safe


def screen() -> Console:
    """Return a console on stderr; FORCE_COLOR, which CI systems set, does not make a log a terminal."""
    console = Console(
        stderr=True,
        highlight=False,
        force_terminal=sys.stderr.isatty(),
        color_system="auto" if is_capable_terminal() else None,
    )
    console.width = console.width or 80  # COLUMNS=0
    return console


def visible(text: str, style: str = "") -> Text:
    """Return text for a console, without effect on terminals and CI systems."""
    return Text(safe(text), style=style)
