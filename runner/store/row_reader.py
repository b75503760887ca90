"""Reads the lines of a data file in blocks, with its size and digest so far."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate, chain
from typing import BinaryIO, Final, TypeAlias

from runner.core.rows import MAX_ROW
from runner.core.units import BYTES_PER_MIB, Bytes

MAX_DATA: Final[Bytes] = 4096 * BYTES_PER_MIB
_BOM: Final = b"\xef\xbb\xbf"
_BUFFER: Final[Bytes] = BYTES_PER_MIB
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


class RowReader:
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
