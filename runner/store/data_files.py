"""The rows of variables: data files, and the output of commands."""

from __future__ import annotations

import hashlib
import os
import stat
import weakref
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from runner.core.rows import Format
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.experiment.variable import Variable
from runner.experiment.variables import RowFacts, Use
from runner.store.data_scan import scan
from runner.store.request_files import place_problem, resolved
from runner.store.row_reader import DataProblem

MAX_KNOWN: Final = 64
"""How many scanned files are remembered between validation and run."""


_MAX_DIGESTED: Final[Bytes] = BYTES_PER_MIB
"""Smaller files are read again to find out whether they have changed; they are in the archive."""


class Identity(NamedTuple):
    """What shows that a file has changed."""

    inode: int
    size: Bytes
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class DataFile:
    """Rows that are ready to be sent.

    Attributes:
        name: In messages: the path in the specification, or the command.
        path: Where workers read it.
        format: How rows are written.
        delimiter: Of CSV.
        columns: Of CSV.
        offsets: Where each row begins, and at last where the file ends.
        sha256: Digest of its content.
        identity: When it was read.
        is_output: Whether it is the output of a command, in memory, which nothing changes.
    """

    name: str
    path: Path
    format: Format
    delimiter: str
    columns: tuple[str, ...]
    offsets: array[int] = field(repr=False)
    sha256: str
    identity: Identity
    is_output: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def size(self) -> Bytes:
        """Length of the file."""
        return self.identity.size

    @cached_property
    def index(self) -> str:
        """Path of the offsets, in memory that all workers share; it exists as long as this object."""
        fd = os.memfd_create("loadproof-rows", os.MFD_CLOEXEC)
        weakref.finalize(self, os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            self.offsets.tofile(file)
        return f"/proc/{os.getpid()}/fd/{fd}"

    @property
    def has_changed(self) -> bool:
        """Whether the file is no longer the one that was read."""
        if self.is_output:
            return False
        try:
            now = identity_of(self.path.stat())
            if now[:3] != self.identity[:3]:
                return True
            if now == self.identity and self.size > _MAX_DIGESTED:
                return False
            with self.path.open("rb") as file:  # written without a trace, or only linked or made read-only
                return hashlib.file_digest(file, "sha256").hexdigest() != self.sha256
        except OSError:
            return True

    def content(self) -> bytes:
        """Return all of it; for small files."""
        return self.path.read_bytes()


_known: dict[tuple[object, ...], DataFile] = {}


def identity_of(status: os.stat_result) -> Identity:
    """Return what shows later whether a file has changed."""
    return Identity(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_data_file(
    path: str, folder: Path, format_: Format, delimiter: str, uses: Collection[Use]
) -> DataFile:
    """Return the rows of a file. Blocks; a file that was read before and has not changed is not read again.

    Args:
        path: As in the specification.
        folder: The specification's.
        format_: How rows are written.
        delimiter: Of CSV.
        uses: What requests use of the rows.

    Raises:
        DataProblem: It cannot be read, or a row cannot be sent.
    """
    try:
        if problem := place_problem(path, folder):
            raise DataProblem(problem)
        place = resolved(path, folder)
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(fd, "rb") as file:  # noqa: PTH123
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise DataProblem(f"{path} is not a regular file")
            key = (place, identity_of(status), format_, delimiter, frozenset(uses))
            if key not in _known:
                while len(_known) >= MAX_KNOWN:
                    del _known[next(iter(_known))]
                _known[key] = _scanned(file, path, place, format_, delimiter, uses)
            return _known[key]
    except OSError as error:
        raise DataProblem(f"cannot read {path}: {error.strerror}") from None


def variable_rows(variable: Variable, folder: Path, uses: Collection[Use]) -> DataFile:
    """Return the rows of a variable with a file; see `read_data_file`."""
    assert variable.path is not None
    assert variable.row_format is not None
    return read_data_file(variable.path, folder, variable.row_format, variable.delimiter or ",", uses)


def row_facts(variable: Variable, uses: Collection[Use], folder: Path) -> RowFacts:
    """Return what is known of the rows of a variable with a file; see `read_data_file`."""
    try:
        return RowFacts(variable_rows(variable, folder, uses).rows)
    except DataProblem as problem:
        return RowFacts(None, problem.message, problem.hint, problem.path)


def _scanned(
    file: BinaryIO, name: str, place: Path, format_: Format, delimiter: str, uses: Collection[Use]
) -> DataFile:
    before = identity_of(os.fstat(file.fileno()))
    found = scan(file, name, format_, delimiter, uses)
    after = identity_of(os.fstat(file.fileno()))
    if before != after or found.size != after.size:
        raise DataProblem(f"{name} changed while it was read", "run again when nothing writes it")
    return DataFile(name, place, format_, delimiter, found.columns, found.offsets, found.sha256, after)


def output_file(output: int, name: str, format_: Format, delimiter: str, uses: Collection[Use]) -> DataFile:
    """Return the rows of a command's output.

    Args:
        output: Descriptor of a file with nothing else in it; the caller may close it.
        name: In messages.
        format_: How rows are written.
        delimiter: Of CSV.
        uses: What requests use of the rows.

    Raises:
        DataProblem: A row cannot be sent, or there is none.
    """
    os.lseek(output, 0, os.SEEK_SET)
    with open(output, "rb", closefd=False) as file:
        found = scan(file, name, format_, delimiter, uses)
    own = os.dup(output)
    place = Path(f"/proc/{os.getpid()}/fd/{own}")
    identity = identity_of(os.fstat(own))
    rows = DataFile(
        name, place, format_, delimiter, found.columns, found.offsets, found.sha256, identity, is_output=True
    )
    weakref.finalize(rows, os.close, own)
    return rows
