"""Markdown that stays what it should be, whatever text comes from specifications and services."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_MARKED = re.compile(r"\\([\\`*_{}\[\]<>#|~@])|\*\*")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@])")


def escape(text: str) -> str:
    """Text on one line in which nothing means anything to Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def unmarked(text: str) -> str:
    """A sentence of ours without its emphasis and escapes, for a terminal."""
    return _MARKED.sub(lambda found: found[1] or "", text)


def paragraphs(text: str) -> str:
    """Text of several lines, escaped, its empty lines kept."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(escape(block) for block in blocks)


def code(text: str) -> str:
    """A code span; pipes are escaped so that it may stand in a table."""
    flat = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def block(lines: Sequence[str]) -> str:
    """A fenced block that its content cannot close."""
    longest = max((len(run) for line in lines for run in re.findall(r"`{3,}", line)), default=2)
    fence = "`" * (longest + 1)
    return "\n".join([f"{fence}text", *(line.rstrip("\r\n") for line in lines), fence])


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: bool = True, words: Collection[int] = ()
) -> str:
    """A table whose cells are Markdown already; columns of figures are set to the right.

    Args:
        head: The headings.
        rows: Of as many cells.
        figures: Whether all columns but the first hold figures.
        words: Those that do not all the same, counted from 0.
    """
    right = [figures and n > 0 and n not in words for n in range(len(head))]
    widths = [max(3, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]
    rule = [
        "-" * (width - 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)
    ]
    return "\n".join(_row(row, widths, right) for row in [head, rule, *rows])


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    shown = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(shown)} |"
