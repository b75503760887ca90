"""Finds the rows of a data file, and checks every one, without keeping the file in memory."""

from __future__ import annotations

import csv
import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain, repeat
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

import msgspec

from runner.core.rows import (
    MAX_ROW,
    Format,
    csv_fields,
    json_value,
    keys_of,
    line_text,
    part_of,
    text_of,
)
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.experiment.request import is_header_value
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.variables import Use

MAX_ROWS: Final = 20_000_000
MAX_DATA: Final[Bytes] = 4096 * BYTES_PER_MIB

_BOM: Final = b"\xef\xbb\xbf"
_BUFFER: Final[Bytes] = BYTES_PER_MIB
_MOST_NAMED: Final = 20
_HEADERS_TAKE: Final = "headers take printable ASCII on one line, without spaces at the ends"

Line: TypeAlias = tuple[int, Bytes, bytes]
"""Number of a line, from 1, its offset in the file, and its content with its end."""


class DataProblem(ValueError):  # noqa: N818  (reads as the sentence it is)
    """Rows that cannot be sent.

    Attributes:
        message: What is wrong and where, without a full stop.
        hint: What to do; may be empty.
        path: The column or keys that do not exist; empty if something else is wrong.
    """

    def __init__(self, message: str, hint: str = "", path: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.path = message, hint, path


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
    reader = _Reader(file, name)
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


class _Reader:
    """The lines of a file, with its size and digest so far."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.digest = hashlib.sha256()
        self.size = self.number = 0
        self.name = name
        self._file = file
        self._block = BytesIO()

    def block(self, is_plain: Callable[[bytes, Sequence[bytes]], bool]) -> array[int] | None:
        """Return the offsets of the next lines if each of them is a row, which is found out quickly.

        Args:
            is_plain: Decides that from the lines, with and without their separators.

        Returns:
            None if the lines have to be looked at one by one: `lines` yields them. Empty at the end.
        """
        content = self._file.read(_BUFFER) + self._file.readline(MAX_ROW + 1)
        rows = content.split(b"\n")
        if not rows[-1]:
            rows.pop()
        usual = self.number and all(rows) and _is_text(content) and max(map(len, rows), default=0) <= MAX_ROW
        if not usual or not is_plain(content, rows):
            self._block = BytesIO(content)
            return None if content else array("Q")
        begins = array("Q", accumulate(chain([self.size], map(len, rows)), _next_begin))
        begins.pop()
        self._take(content, len(rows))
        return begins

    def lines(self) -> Iterator[Line]:
        """Yield the lines that are not empty, up to the end of a block or of the file."""
        while line := self._block.readline(MAX_ROW + 1) or self._file.readline(MAX_ROW + 1):
            offset = self.size
            self._take(line, 1)
            if len(line) > MAX_ROW:
                raise self.wrong("is longer than 1 MiB")
            if not line.isascii():
                self._check_text(line)
            if self.number == 1 and line.startswith(_BOM):
                line, offset = line[len(_BOM) :], offset + len(_BOM)
            if line.strip(b"\r\n"):
                yield self.number, offset, line

    @property
    def is_between_blocks(self) -> bool:
        """Whether all lines of the last block were taken."""
        return self._block.tell() == self._block.getbuffer().nbytes

    def _take(self, content: bytes, lines: int) -> None:
        self.digest.update(content)
        self.size += len(content)
        self.number += lines
        if self.size > MAX_DATA:
            raise DataProblem(f"{self.name} is larger than {MAX_DATA // BYTES_PER_MIB // 1024} GiB")

    def _check_text(self, line: bytes) -> None:
        try:
            line.decode()
        except UnicodeDecodeError as error:
            hint = "save the file as UTF-8"
            raise self.wrong(f"is not UTF-8 text (byte {error.start + 1})", hint=hint) from None

    def wrong(self, what: str, number: int = 0, hint: str = "") -> DataProblem:
        """Return the problem with a line, the last one unless stated."""
        return DataProblem(f"line {number or self.number} of {self.name} {what}", hint)


def _next_begin(begin: int, length: int) -> int:
    return begin + length + 1


def _is_text(content: bytes) -> bool:
    try:
        return content.isascii() or bool(content.decode())
    except UnicodeDecodeError:
        return False


def _ends_lines_only(content: bytes) -> bool:
    """Return whether carriage returns, if there are any, only end lines that are not empty."""
    if b"\r" not in content:
        return True
    has_empty_line = b"\n\r\n" in content or content.startswith(b"\r\n")
    return not has_empty_line and content.count(b"\r") == content.count(b"\r\n")


def _rows(
    reader: _Reader,
    records: Iterator[_Record],
    is_plain: Callable[[bytes, Sequence[bytes]], bool],
    check: Callable[[_Record], None],
) -> Iterator[Sequence[Bytes]]:
    """Yield the offsets of rows, of many at once where that is possible.

    Args:
        reader: Of the file.
        records: The rows in it, one by one, as long as they are taken.
        is_plain: See `_Reader.block`.
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


def _header(reader: _Reader, delimiter: str, uses: Collection[Use]) -> tuple[str, ...]:
    """Return the names of the columns."""
    first = next(_records(reader, delimiter), None)
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


_Record: TypeAlias = tuple[int, Bytes, list[str] | None, bytes]
"""Number of the first line, offset, fields if they had to be parsed, and the bytes."""


def _records(reader: _Reader, delimiter: str) -> Iterator[_Record]:
    """Yield the rows of CSV, as Python's csv module reads them."""
    lines = reader.lines()
    for number, offset, line in lines:
        if b'"' in line:
            yield _quoted(reader, (number, offset, line), lines, delimiter)
        elif b"\r" in line.rstrip(b"\r\n"):
            raise reader.wrong("contains a carriage return outside quotes", hint="end lines with LF or CR LF")
        else:
            yield number, offset, None, line


def _quoted(reader: _Reader, first: Line, lines: Iterator[Line], delimiter: str) -> _Record:
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


def _csv_rows(
    reader: _Reader, delimiter: str, columns: Sequence[str], uses: Collection[Use]
) -> Iterator[Sequence[Bytes]]:
    """Yield the offsets of the rows below the header."""
    width, separator = len(columns), delimiter.encode()
    in_headers = [columns.index(use.path) for use in uses if use.in_header]

    def is_plain(content: bytes, rows: Sequence[bytes]) -> bool:
        simple = not in_headers and b'"' not in content and _ends_lines_only(content)
        return simple and set(map(bytes.count, rows, repeat(separator))) == {width - 1}

    def check(record: _Record) -> None:
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

    return _rows(reader, _records(reader, delimiter), is_plain, check)


def _line_rows(reader: _Reader, format_: Format, uses: Collection[Use]) -> Iterator[Sequence[Bytes]]:
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

    def check(record: _Record) -> None:
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
