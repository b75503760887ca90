"""All output of the program: messages and answers for people, and texts that go to stdout or to a file.

Messages contain text of strangers: names, paths, the output of services. Its control characters would change
the terminal, and its lines such as ``::error::`` would be commands to a CI system.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

import click

from runner.cli.out_file import write_file
from runner.cli.streams import take_failure
from runner.core.ci_commands import without_ci_commands
from runner.core.errors import OutputError
from runner.experiment.suggestions import harmless

_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""How Python decodes single bytes that are not UTF-8 (PEP 383)."""


def say(*lines: object, label: str = "", colour: str | None = None) -> None:
    """Print a message for people on stderr.

    Args:
        lines: Each is printed as one line, whatever it contains.
        label: A word before the first, in a colour on a terminal.
        colour: That colour.
    """
    _print(sys.stderr, lines, label, colour)


def answer(*lines: object, label: str = "", colour: str | None = None) -> None:
    """Print what a command was asked for on stdout, for people to read; the arguments are those of `say`."""
    _print(sys.stdout, lines, label, colour)


def answer_path(path: Path) -> None:
    """Print a path on stdout, for programs to use: as it is, even where it is not UTF-8."""
    put(os.fsencode(path) + b"\n")


def put(content: str | bytes, out: Path | None = None) -> None:
    """Write a text as UTF-8 to stdout, or to the file that ``--out`` names and print the file's path.

    Only a terminal gets it made safe.

    Raises:
        OutputError: The file cannot be written.
    """
    data = content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
    if out is not None:
        _write_file(out, data)
        answer_path(out)
    elif sys.stdout.isatty():
        sys.stdout.write("\n".join(map(safe, data.decode(errors="surrogateescape").split("\n"))))
        sys.stdout.flush()
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _write_file(out: Path, data: bytes) -> None:
    try:
        write_file(out, data)
    except OSError as error:
        raise cannot_write(out, error) from None


def cannot_write(file: Path, error: OSError) -> OutputError:
    """Return the error for a file named by ``--out``."""
    return OutputError(f"cannot write {file}: {error.strerror}", hint="choose another file with --out")


def lost_output() -> OutputError | None:
    """Return the error for output on stdout that could not be written, once; None without such output."""
    failure = take_failure()
    if failure is None:
        return None
    return OutputError(
        f"the output is incomplete, because stdout cannot be written: {failure.strerror}",
        hint="redirect it to a place with enough space",
    )


def safe(text: str) -> str:
    r"""Return text on one line, without effect on terminals and CI systems.

    Control characters are replaced, bytes that are not UTF-8 shown as in ``\xff``, and what a CI system would
    take for a command gets a space inside.
    """
    if text.isprintable():  # many times faster, and a list of runs has 10,000 rows
        return without_ci_commands(str(text))
    whole = text
    if not text.isascii():
        whole = _NOT_UTF8.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
    return without_ci_commands(harmless(whole.rstrip("\r\n").expandtabs()))


def _print(stream: TextIO, lines: Iterable[object], label: str, colour: str | None) -> None:
    text = "\n".join(safe(str(line)) for line in lines)
    if label:
        text = f"{click.style(label, fg=colour, bold=True) if _shows_colours(stream) else label} {text}"
    stream.write(f"{text}\n")
    stream.flush()


def _shows_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal with colours that the user wants (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and is_capable_terminal()


def is_capable_terminal() -> bool:
    """Return whether the terminal can move its cursor and show colours."""
    return os.environ.get("TERM", "") not in {"", "dumb", "unknown"}
