"""What is printed while a run goes and when it ends. A run goes on when nobody reads that any more."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click
from rich.console import Console


class Screen(Console):
    """A rich console on stderr."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Rich would end the program; what is measured must not be lost for want of a reader."""
        nobody_reads(sys.stderr)


def say(line: object, *, err: bool = False) -> None:
    """Print a line, unless whoever read the stream has gone."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        nobody_reads(sys.stderr if err else sys.stdout)


def nobody_reads(stream: TextIO) -> None:
    """Whoever read a stream has gone; do not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
