"""The terminal that a run is shown on."""

from __future__ import annotations

import sys

from rich.console import Console

from runner.cli.output import discard


class Screen(Console):
    """A rich console on stderr."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Go on without output; rich would end the program and lose what was measured."""
        discard(sys.stderr)
