"""Printing that survives a reader who closes the stream early, and texts that go to stdout or to a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click

from runner.core.errors import OutputError


def say(line: object, *, err: bool = False) -> None:
    """Print a line; does nothing once the reader has closed the stream."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        discard(sys.stderr if err else sys.stdout)


def discard(stream: TextIO) -> None:
    """Send all further output of a stream to nowhere, because its reader has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def put(text: str, out: Path | None) -> None:
    """Print a text, or write it to the file that ``--out`` names and print the file's path.

    Raises:
        OutputError: The file cannot be written.
    """
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise cannot_write(out, error) from None
    click.echo(out)


def cannot_write(file: Path, error: OSError) -> OutputError:
    """Return the error for a file named by ``--out``."""
    return OutputError(f"cannot write {file}: {error.strerror}", hint="choose another file with --out")
