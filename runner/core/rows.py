"""Rows of data files and their parts, read in the same way when they are checked and when they are sent."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from runner.core.units import BYTES_PER_MIB, Bytes

Format: TypeAlias = Literal["csv", "jsonl", "lines"]

MAX_ROW: Bytes = BYTES_PER_MIB
"""The longest row."""

csv.field_size_limit(MAX_ROW)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def csv_fields(row: bytes, delimiter: str) -> list[str]:
    """Return the fields of a row of CSV, with line breaks in quotes.

    Raises:
        ValueError: It is not UTF-8, or Python's csv module refuses it.
    """
    if b'"' not in row:
        return row.decode().rstrip("\r\n").split(delimiter)
    try:
        return next(csv.reader([row.decode()], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def json_value(row: bytes) -> Any:
    """Return the value in a line of JSON.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(row)


def line_text(row: bytes) -> str:
    """Return a line without its end.

    Raises:
        ValueError: It is not UTF-8.
    """
    return row.decode().rstrip("\r\n")


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys in a path such as ``user.id``; none for the whole value."""
    return tuple(path.split(".")) if path else ()


def part_of(value: Any, keys: Sequence[str]) -> Any:
    """Return the part of a JSON value that keys lead to; a number is an index in a list.

    Raises:
        LookupError: There is none.
    """
    for key in keys:
        if isinstance(value, dict):
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and len(key) < 10:
            value = value[int(key)]
        else:
            raise LookupError(key)
    return value


def text_of(value: Any) -> str:
    """Return a value as text: JSON, but text without quotes."""
    return value if isinstance(value, str) else json_of(value)


def json_of(value: Any) -> str:
    """Return a value as compact JSON."""
    return _encode(value)
