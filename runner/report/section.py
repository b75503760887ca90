"""A part of a report whose pieces the template puts in order."""

from __future__ import annotations

from dataclasses import dataclass

from runner.report.markdown_text import EMPTY, Markdown


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its texts; the template leaves out what is empty.

    Attributes:
        table: The table.
        heading: The title, escaped where it is shown.
        sentence: The conclusion.
        method: How the numbers came about.
        lines: Remarks.
    """

    table: Markdown
    heading: str = ""
    sentence: Markdown = EMPTY
    method: Markdown = EMPTY
    lines: tuple[Markdown, ...] = ()
