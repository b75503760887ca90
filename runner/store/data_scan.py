"""Finds the rows of a data file, and checks every one, without keeping the file in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import repeat
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from runner.core.rows import Format, csv_fields, json_value, keys_of, line_text, part_of, text_of
from runner.core.units import Bytes
from runner.experiment.request import is_header_value
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.variables import Use
from runner.store.csv_records import Record, csv_records
from runner.store.row_reader import DataProblem, RowReader

MAX_ROWS: Final = 20_000_000
_MOST_NAMED: Final = 20
_HEADERS_TAKE: Final = "headers take printable ASCII on one line, without spaces at the ends"


class Scan(NamedTuple):
    """What was found in a data file.

    Attributes:
        offsets: Where each row begins, and at last where the file ends.
        columns: Of CSV.
        sha256: Digest of the file.
        size: Its length.
    """

    offsets: array[int]
    columns: tuple[str, ...]
    sha256: str
    size: Bytes

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1


def scan(file: BinaryIO, name: str, format_: Format, delimiter: str, uses: Collection[Use]) -> Scan:
    """Return where the rows of a file are, after each has been checked.

    Args:
        file: At its beginning.
        name: Of the file, in messages.
        format_: How rows are written.
        delimiter: Of CSV.
        uses: What requests use of the rows.

    Raises:
        DataProblem: A row cannot be read or sent, there is none, or there are too many.
        OSError: The file cannot be read.
    """
    reader = RowReader(file, name)
    offsets = array("Q")
    columns: tuple[str, ...] = ()
    if format_ == "csv":
        columns = _header(reader, delimiter, uses)
        found = _csv_rows(reader, delimiter, columns, uses)
    else:
        found = _line_rows(reader, format_, uses)
    for some in found:
        offsets.extend(some)
        if len(offsets) > MAX_ROWS:
            raise DataProblem(f"{name} has more than {MAX_ROWS:,} rows")
    if not offsets:
        below = " below its header" if format_ == "csv" else ""
        raise DataProblem(f"{name} has no rows{below}")
    offsets.append(reader.size)
    return Scan(offsets, columns, reader.digest.hexdigest(), reader.size)


def _ends_lines_only(content: bytes) -> bool:
    """Return whether carriage returns, if there are any, only end lines that are not empty."""
    if b"\r" not in content:
        return True
    has_empty_line = b"\n\r\n" in content or content.startswith(b"\r\n")
    return not has_empty_line and content.count(b"\r") == content.count(b"\r\n")


def _rows(
    reader: RowReader,
    records: Iterator[Record],
    is_plain: Callable[[bytes, Sequence[bytes]], bool],
    check: Callable[[Record], None],
) -> Iterator[Sequence[Bytes]]:
    """Yield the offsets of rows, of many at once where that is possible.

    Args:
        reader: Of the file.
        records: The rows in it, one by one, as long as they are taken.
        is_plain: See `RowReader.block`.
        check: Raises what is wrong with a row.
    """
    while True:
        while begins := reader.block(is_plain):
            yield begins
        if begins is not None:
            return
        for record in records:
            check(record)
            yield (record[1],)
            if reader.is_between_blocks:
                break


def _header(reader: RowReader, delimiter: str, uses: Collection[Use]) -> tuple[str, ...]:
    """Return the names of the columns."""
    first = next(csv_records(reader, delimiter), None)
    if first is None:
        raise DataProblem(f"{reader.name} is empty", "its first line should name the columns")
    columns = first[2] or csv_fields(first[3], delimiter)
    for place, column in enumerate(columns, start=1):
        if not column.strip():
            raise reader.wrong(f"has no name for column {place}")
        if columns.index(column) + 1 < place:
            raise reader.wrong(f"names the column {display(column)} twice")
    for use in uses:
        if use.path not in columns:
            message = f"{reader.name} has no column {display(use.path)}"
            raise DataProblem(message, _other(use.path, columns, "its columns are"), use.path)
    return tuple(columns)


def _other(name: str, known: Sequence[str], overview: str) -> str:
    shown = [display(one) for one in known[:_MOST_NAMED]]
    return did_you_mean(name, known) or (f"{overview} {join_words(shown, 'and')}" if shown else "")


def _csv_rows(
    reader: RowReader, delimiter: str, columns: Sequence[str], uses: Collection[Use]
) -> Iterator[Sequence[Bytes]]:
    """Yield the offsets of the rows below the header."""
    width, separator = len(columns), delimiter.encode()
    in_headers = [columns.index(use.path) for use in uses if use.in_header]

    def is_plain(content: bytes, rows: Sequence[bytes]) -> bool:
        simple = not in_headers and b'"' not in content and _ends_lines_only(content)
        return simple and set(map(bytes.count, rows, repeat(separator))) == {width - 1}

    def check(record: Record) -> None:
        number, _, fields, line = record
        count = line.count(separator) + 1 if fields is None else len(fields)
        if count != width:
            columns_read = "1 column" if count == 1 else f"{count:,} columns"
            raise reader.wrong(f"has {columns_read}, and the header {width:,}", number)
        if in_headers:
            values = csv_fields(line, delimiter) if fields is None else fields
            for place in in_headers:
                if not is_header_value(values[place]):
                    what = f"has {display(values[place])}, which no header can have"
                    raise reader.wrong(what, number, _HEADERS_TAKE)

    return _rows(reader, csv_records(reader, delimiter), is_plain, check)


def _line_rows(reader: RowReader, format_: Format, uses: Collection[Use]) -> Iterator[Sequence[Bytes]]:
    """Yield the offsets of rows of one line each."""
    parts = [(use.path, keys_of(use.path), use.in_header) for use in uses if use.path or use.in_header]
    decoder = msgspec.json.Decoder(msgspec.Raw)
    is_json = format_ == "jsonl"

    def is_plain(content: bytes, rows: Sequence[bytes]) -> bool:
        if parts:
            return False
        try:
            return not is_json or len(decoder.decode_lines(content)) == len(rows)
        except (ValueError, RecursionError):
            return False

    def check(record: Record) -> None:
        line = record[3]
        value: Any = None
        try:
            if is_json:
                decoder.decode(line)
            if parts:
                value = json_value(line) if is_json else line_text(line)
        except (ValueError, RecursionError) as error:
            raise reader.wrong(f"is not JSON: {error}") from None
        for path, keys, in_header in parts:
            if problem := _part_problem(value, path, keys, in_header):
                raise DataProblem(reader.wrong(problem.message).message, problem.hint, problem.path)

    records = ((number, offset, None, line) for number, offset, line in reader.lines())
    return _rows(reader, records, is_plain, check)


def _part_problem(value: Any, path: str, keys: Sequence[str], in_header: bool) -> DataProblem | None:
    """Return what is wrong with a part of a row."""
    try:
        part = part_of(value, keys)
    except LookupError:
        known = list(value) if isinstance(value, dict) else []
        return DataProblem(f"has no {path}", _other(path, known, "its keys are"), path)
    if in_header and not is_header_value(text_of(part)):
        return DataProblem(f"has {display(text_of(part))}, which no header can have", _HEADERS_TAKE)
    return None
