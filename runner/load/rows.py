"""Reads the rows that a worker's arrivals send; the index of all rows is shared by all workers."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import Any, Final

from runner.core.rows import csv_fields, json_value, keys_of, line_text, part_of
from runner.core.template import Position
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.load.drawing import below
from runner.load.values import Make, RowValues, encoder

_IN_MEMORY: Final[Bytes] = 32 * BYTES_PER_MIB
"""A file up to this size is read once, a larger one row by row."""
_AS_THEY_ARE: Final = frozenset({Position.VALUE, Position.BODY, Position.MULTIPART})


class Rows:
    """The rows of one variable. Two references in one request get the same row.

    Args:
        variable: Where the rows are.
        rank: Returns how many arrivals of the stage before an arrival use a row.
    """

    def __init__(self, variable: RowValues, rank: Callable[[int], int]) -> None:
        self._variable = variable
        self._rank = rank
        self._read = _reader(variable)
        self._offsets = _index(variable)
        self._k = -1
        self._row = b""
        self._fields: Any = None

    def maker(self, path: str, position: Position) -> Make:
        """Return what makes the encoded values of a part of the rows."""
        encode, format_ = encoder(position), self._variable.format
        if format_ == "csv":
            column = self._variable.columns.index(path)
            return lambda k: encode(self._parsed(k)[column])
        if format_ == "lines":
            return lambda k: encode(self._parsed(k))
        if not path:
            return self._whole(
                encode, as_it_is=position in _AS_THEY_ARE, keep_quotes=position is Position.VALUE
            )
        keys = keys_of(path)
        return lambda k: encode(part_of(self._parsed(k), keys))

    def _whole(self, encode: Callable[[Any], bytes], *, as_it_is: bool, keep_quotes: bool) -> Make:
        """Return what makes the whole line of JSON; text without quotes, unless a JSON value is needed."""

        def make(k: int) -> bytes:
            row = self._bytes(k).strip()
            if row.startswith(b'"') and not keep_quotes:
                return encode(json_value(row))
            return row if as_it_is else encode(row.decode())

        return make

    def _bytes(self, k: int) -> bytes:
        """Return the row of an arrival.

        Raises:
            SystemExit: The file has changed.
        """
        if k != self._k:
            variable = self._variable
            if variable.key is None:
                row = (variable.first + self._rank(k)) % variable.rows
            else:
                row = below(variable.key, variable.first + k, variable.rows)
            begin, end = self._offsets[row], self._offsets[row + 1]
            self._row = self._read(begin, end)
            self._k, self._fields = k, None
            if len(self._row) != end - begin:
                raise _changed(variable)
        return self._row

    def _parsed(self, k: int) -> Any:
        if k != self._k or self._fields is None:
            row = self._bytes(k)
            try:
                self._fields = self._parse(row)
            except (ValueError, RecursionError):
                raise _changed(self._variable) from None
        return self._fields

    def _parse(self, row: bytes) -> Any:
        if self._variable.format == "csv":
            fields = csv_fields(row, self._variable.delimiter)
            if len(fields) != len(self._variable.columns):
                raise ValueError
            return fields
        return json_value(row) if self._variable.format == "jsonl" else line_text(row)


def _reader(variable: RowValues) -> Callable[[int, int], bytes]:
    """Return a function that reads from one offset to another."""
    fd = os.open(variable.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:  # noqa: PTH123  (no pathlib in a light worker)
        if variable.size > _IN_MEMORY:
            opened = _Opened(os.dup(fd))
            return opened.read
        content = file.read(variable.size + 1)
    if len(content) != variable.size:
        raise _changed(variable)
    return lambda begin, end: content[begin:end]


class _Opened:
    """A file that is closed when nothing reads it any more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, begin: int, end: int) -> bytes:
        return os.pread(self._fd, end - begin, begin)

    def __del__(self) -> None:
        os.close(self._fd)


def _index(variable: RowValues) -> memoryview:
    with open(variable.index, "rb") as file:  # noqa: PTH123
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("Q")


def _changed(variable: RowValues) -> SystemExit:
    return SystemExit(f"generator worker: {variable.path} has changed since the run started")
