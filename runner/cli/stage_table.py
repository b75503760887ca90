"""The stages of a run on a terminal of any width: as a table, or one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill, wrap
from typing import Final

from rich.table import Table
from rich.text import Text

from runner.cli.terminal import visible
from runner.report.summary import TEXT_COLUMNS

Row = Mapping[str, str]
_EXPENDABLE: Final = ("app cores", "achieved", "rate over time")
"""Columns that a narrow terminal omits, in this order."""
_UNBROKEN: Final = 14
"""A text of this length is not broken into lines within a column."""
_LINES: Final = 2
"""Of a heading, at most."""
_GAP: Final = 2
_INDENT: Final = "  "
_PLACE: Final = ("configuration", "stage")


def stage_table(rows: Sequence[Row], width: int) -> Table | list[Text]:
    """Return the rows as a table that fits into the width, else as lines of a few words for each stage.

    Args:
        rows: All with the same keys, which are the headings.
        width: In characters.
    """
    columns = _fitting(rows, width)
    return list(_stacked(rows, width)) if columns is None else _table(rows, columns)


def _fitting(rows: Sequence[Row], width: int) -> dict[str, int] | None:
    """Return the columns that fit, with their least widths; None if not even the needed ones do."""
    columns = list(rows[0])
    for expendable in (None, *_EXPENDABLE):
        if expendable in columns:
            columns.remove(expendable)
        least = {column: _least(column, [row[column] for row in rows]) for column in columns}
        if sum(least.values()) + _GAP * (len(columns) - 1) <= width:
            return least
    return None


def _least(column: str, texts: Sequence[str]) -> int:
    """Return the width below which a column would break a word or a number."""
    narrowest = max(map(len, column.split()))
    heading = next(width for width in range(narrowest, len(column) + 1) if len(wrap(column, width)) <= _LINES)
    widths = map(_longest_word, texts) if column in TEXT_COLUMNS else map(len, texts)
    return max(heading, *widths)


def _longest_word(text: str) -> int:
    return len(text) if len(text) <= _UNBROKEN else max(map(len, text.split()), default=0)


def _table(rows: Sequence[Row], columns: Mapping[str, int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, least in columns.items():
        is_text = column in TEXT_COLUMNS
        heading = fill(column, max(least, 1), break_long_words=False)  # else it takes width from the others
        table.add_column(heading, justify="left" if is_text else "right", min_width=least, overflow="fold")
    for row in rows:
        table.add_row(*(visible(row[column]) for column in columns))
    return table


def _stacked(rows: Sequence[Row], width: int) -> Iterator[Text]:
    """Yield for each row a line with its place, then its figures and its verdict, none of them broken."""
    for row in rows:
        yield visible(" · ".join(row[name] for name in _PLACE if name in row), "bold")
        figures = [f"{name} {text}" for name, text in row.items() if name not in TEXT_COLUMNS and text]
        for line in (*_packed(figures, width - len(_INDENT)), row["verdict"]):
            yield visible(f"{_INDENT}{line}")


def _packed(figures: Sequence[str], width: int) -> Iterator[str]:
    """Yield lines of as many figures as fit into a width."""
    line = ""
    for figure in figures:
        if line and len(f"{line}, {figure},") > width:
            yield f"{line},"
            line = figure
        else:
            line = f"{line}, {figure}" if line else figure
    yield line
