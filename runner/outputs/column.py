"""Tables for other programs: columns with one type each, as CSV and as newline-delimited JSON.

A table is made from a list of columns and from nothing else, and so is its description for people.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

from runner.report.exact_numbers import exact
from runner.store.json_text import encode_json

Cell: TypeAlias = str | int | float | None
_Row_contra = TypeVar("_Row_contra", contravariant=True)
_Row = TypeVar("_Row")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


class Kind(StrEnum):
    """The type of all values of a column."""

    TEXT = "text"
    COUNT = "whole number"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column(Generic[_Row_contra]):
    """One column of a table.

    Attributes:
        name: Its heading and its key; ends in the unit where there is one.
        kind: The type of its values.
        unit: Of its values; empty for none.
        definition: What it says, a sentence without a full stop.
        read: Returns its value in a row; None where there is none.
    """

    name: str
    kind: Kind
    unit: str
    definition: str
    read: Callable[[_Row_contra], Cell]


def csv_text(columns: Sequence[Column[_Row]], rows: Iterable[_Row]) -> str:
    """Return RFC 4180 text with a heading row; an empty cell is a number that was not measured.

    Text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection).
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.name for column in columns])
    writer.writerows([_csv_cell(column.read(row)) for column in columns] for row in rows)
    return text.getvalue()


def ndjson_text(columns: Sequence[Column[_Row]], rows: Iterable[_Row]) -> str:
    """Return a flat JSON object on a line for each row, for readers that guess types from what they see.

    A number that was not measured is left out, never null; a `Kind.NUMBER` always has a decimal point or an
    exponent, so that no reader takes it for an integer.
    """
    lines = [_json_line(columns, row) for row in rows]
    return b"".join(lines).decode()


def _json_line(columns: Sequence[Column[_Row]], row: _Row) -> bytes:
    values: dict[str, Cell] = {}
    for column in columns:
        value = column.read(row)
        if value is not None:
            values[column.name] = float(value) if column.kind is Kind.NUMBER else value
    return encode_json(values) + b"\n"


def _csv_cell(value: Cell) -> Cell:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return exact(value)
