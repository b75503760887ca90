"""The values of variables, as a worker computes them: each is a function of the arrival's number.

A worker makes only the values of its own arrivals, and all workers together make the same ones whatever their
number. Values in a request are encoded for the position where they stand.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from runner.core.rows import Format, json_of, text_of
from runner.core.template import ENCODERS, Position
from runner.core.units import NS_PER_MS, NS_PER_S
from runner.load.drawing import below, draw, text, uuid

FLOAT_STEPS: Final = 10**6
"""A value of `FloatValues` is a whole number of these parts of 1."""
_FLOAT_BITS: Final = 53


class IntValues(Struct, frozen=True, tag="int"):
    """Random whole numbers.

    Attributes:
        key: Of the random numbers.
        first: Number of arrivals before this stage.
        low: The smallest value.
        size: How many values there are.
    """

    key: int
    first: int
    low: int
    size: int


class FloatValues(Struct, frozen=True, tag="float"):
    """Random numbers with six decimal places; as `IntValues`, in millionths."""

    key: int
    first: int
    low: int
    size: int


class ChoiceValues(Struct, frozen=True, tag="choice"):
    """Values from a list.

    Attributes:
        key: Of the random numbers.
        first: Number of arrivals before this stage.
        values: To choose from.
        weights: One per value; empty if all are equally likely.
    """

    key: int
    first: int
    values: tuple[str | int | float | bool | None, ...]
    weights: tuple[float, ...] = ()


class TextValues(Struct, frozen=True, tag="string"):
    """Random text.

    Attributes:
        key: Of the random numbers.
        first: Number of arrivals before this stage.
        length: Number of characters.
        alphabet: The characters.
    """

    key: int
    first: int
    length: int
    alphabet: str


class UuidValues(Struct, frozen=True, tag="uuid"):
    """Random UUIDs.

    Attributes:
        key: Of the random numbers.
        first: Number of arrivals before this stage.
    """

    key: int
    first: int


class CounterValues(Struct, frozen=True, tag="counter"):
    """Numbers that grow with each arrival.

    Attributes:
        start: Value of the stage's first arrival.
        step: Difference between two arrivals.
    """

    start: int
    step: int


class TimestampValues(Struct, frozen=True, tag="timestamp"):
    """The time at which a request is made; the only values that differ between two runs."""

    unit: Literal["s", "ms", "iso"]


class RowValues(Struct, frozen=True, tag="rows"):
    """Rows of a file.

    Attributes:
        format: How rows are written.
        delimiter: Of CSV.
        columns: Of CSV.
        path: The file.
        size: Its length in bytes.
        index: A file with the offset of each row, 8 bytes each, and the length of the file.
        rows: How many there are.
        first: How many arrivals before this stage used a row; of random rows, how many there were.
        key: Of the random numbers; None for rows in order.
    """

    format: Format
    delimiter: str
    columns: tuple[str, ...]
    path: str
    size: int
    index: str
    rows: int
    first: int
    key: int | None = None


GeneratedValues: TypeAlias = (
    IntValues | FloatValues | ChoiceValues | TextValues | UuidValues | CounterValues | TimestampValues
)
WorkerVariable: TypeAlias = GeneratedValues | RowValues
Make: TypeAlias = Callable[[int], bytes]
"""Returns the encoded value of an arrival, by its number in the stage."""


def encoder(position: Position) -> Callable[[Any], bytes]:
    """Return what encodes a value where it stands."""
    if position is Position.VALUE:
        return lambda value: json_of(value).encode()
    encode = ENCODERS[position]
    return lambda value: encode(text_of(value)).encode()


def maker(variable: GeneratedValues, position: Position) -> Make:
    """Return what makes the encoded values of a variable."""
    match variable:
        case IntValues(key, first, low, size):
            return lambda k: b"%d" % (low + below(key, first + k, size))
        case FloatValues(key, first, low, size):
            return lambda k: _decimal(low + below(key, first + k, size))
        case CounterValues(start, step):
            return lambda k: b"%d" % (start + step * k)
        case _:
            return _text_maker(variable, position)


def _text_maker(variable: GeneratedValues, position: Position) -> Make:
    encode = encoder(position)
    match variable:
        case TextValues():
            return _text(variable, position)
        case UuidValues(key, first):
            quote = '"' if position is Position.VALUE else ""
            return lambda k: f"{quote}{uuid(key, first + k)}{quote}".encode()
        case ChoiceValues():
            return _choice(variable, encode)
        case TimestampValues("iso"):
            return lambda _: encode(iso_time(time.time_ns()))
        case TimestampValues(unit):
            divisor = NS_PER_S if unit == "s" else NS_PER_MS
            return lambda _: b"%d" % (time.time_ns() // divisor)
        case _:
            raise AssertionError(variable)


def _text(variable: TextValues, position: Position) -> Make:
    """Return what makes text; each character is encoded once, unless encoders look at others as well."""
    key, first, length = variable.key, variable.first, variable.length
    if position is Position.VALUE:
        inside = _text(variable, Position.JSON)
        return lambda k: b'"%s"' % inside(k)
    encode = ENCODERS[position]
    if position is Position.URL:  # spaces around a URL are no part of it, so characters depend on their place
        plain = variable.alphabet
        return lambda k: encode(text(key, first + k, length, plain)).encode()
    alphabet = [encode(character) for character in variable.alphabet]
    return lambda k: text(key, first + k, length, alphabet).encode()


def _decimal(millionths: int) -> bytes:
    whole, rest = divmod(abs(millionths), FLOAT_STEPS)
    return b"%s%d.%06d" % (b"-" if millionths < 0 else b"", whole, rest)


def _choice(variable: ChoiceValues, encode: Callable[[Any], bytes]) -> Make:
    encoded = [encode(value) for value in variable.values]
    key, first, size = variable.key, variable.first, len(encoded)
    if not variable.weights:
        return lambda k: encoded[below(key, first + k, size)]
    *bounds, total = accumulate(variable.weights)
    scale = total / 2**_FLOAT_BITS
    return lambda k: encoded[bisect_right(bounds, (draw(key, first + k) >> 64 - _FLOAT_BITS) * scale)]


def iso_time(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // NS_PER_MS % 1000:03d}Z"
