"""The records of a CSV file, as Python's csv module reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

from runner.core.rows import MAX_ROW
from runner.core.units import Bytes
from runner.store.row_reader import Line, RowReader

Record: TypeAlias = tuple[int, Bytes, list[str] | None, bytes]
"""Number of the first line, offset, fields if they had to be parsed, and the bytes."""


def csv_records(reader: RowReader, delimiter: str) -> Iterator[Record]:
    """Yield the rows of CSV, as Python's csv module reads them."""
    lines = reader.lines()
    for number, offset, line in lines:
        if b'"' in line:
            yield _quoted(reader, (number, offset, line), lines, delimiter)
        elif b"\r" in line.rstrip(b"\r\n"):
            raise reader.wrong("contains a carriage return outside quotes", hint="end lines with LF or CR LF")
        else:
            yield number, offset, None, line


def _quoted(reader: RowReader, first: Line, lines: Iterator[Line], delimiter: str) -> Record:
    """Return a row with quotes, which may contain further lines."""
    number, offset, line = first
    taken, size = [line], 0

    def more() -> Iterator[str]:
        nonlocal size
        for _, _, following in chain([first], lines):
            if following is not line:
                taken.append(following)
            size += len(following)
            if size > MAX_ROW:
                raise reader.wrong("begins a row that is longer than 1 MiB; is a quote not closed?", number)
            yield following.decode()

    try:
        fields = next(csv.reader(more(), delimiter=delimiter))
        texts = [text.decode() for text in taken]
        # an open quote takes what follows into its field
        if len(list(csv.reader([*texts, "end"], delimiter=delimiter))) == 1:
            raise reader.wrong("begins a quoted field that is not closed", number)
    except csv.Error as error:
        raise reader.wrong(f"is not CSV: {error}", number) from None
    return number, offset, fields, b"".join(taken)
