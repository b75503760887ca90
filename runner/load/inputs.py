"""What the requests of a load need beside the specification: values of variables and contents of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from runner.core.rows import Format
from runner.core.units import Bytes

Constant: TypeAlias = str | int | float | bool
"""A value that is the same for every request; in JSON it keeps its type."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """The rows of a variable, checked and indexed.

    Attributes:
        format: How rows are written.
        delimiter: Of CSV.
        columns: Of CSV.
        path: The file.
        size: Its length.
        index: A file with the offset of each row, 8 bytes each, and the length of the file.
        rows: How many there are.
        owner: Keeps files in memory open.
    """

    format: Format
    delimiter: str
    columns: tuple[str, ...]
    path: str
    size: Bytes
    index: str
    rows: int
    owner: object = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Read once when the run starts, so that every request of a run is made of the same.

    Attributes:
        values: Name to value of the variables, and of what hooks extracted, where all requests have the same.
            They may be secrets: `repr` does not show them.
        files: Path in the specification to content.
        rows: Name of a variable to its rows.
    """

    values: Mapping[str, Constant] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    rows: Mapping[str, RowSource] = field(default_factory=dict)


NO_INPUTS = Inputs()
