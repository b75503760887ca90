"""Times and sizes with units: ``200ms``, ``30s``, ``1.5m``, ``256MiB``.

A bare number is refused in a file, since some tools mean seconds by it and others
milliseconds. From Python a time is a number of seconds and a size a number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from runner.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, Bytes, Seconds
from runner.experiment.base_model import complaint, is_written
from runner.experiment.suggestions import did_you_mean, either, shown

MINUTE: Final = 60.0
HOUR: Final = 3600.0
KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

TIME_UNITS: Final = {
    "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S,
}  # fmt: skip
"""Factors to nanoseconds."""
SIZE_UNITS: Final = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
"""Factors to bytes."""

_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_QUANTITY: Final = re.compile(rf"({_NUMBER}) ?([^\W\d]{{1,20}})")
_MEANT: Final = {
    "us": ("\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec"),
    "ms": ("msec", "millis"),
    "s": ("S", "sec", "secs", "second", "seconds"),
    "m": ("M", "min", "mins", "minute", "minutes"),
    "h": ("H", "hr", "hrs", "hour", "hours"),
    "KiB": ("k", "K", "Ki", "kb", "Kb", "KB"),
    "MiB": ("m", "M", "Mi", "mb", "Mb"),
    "GiB": ("g", "G", "Gi", "gb", "Gb"),
}


def parse_quantity(text: str, units: Mapping[str, int], what: str, *, bare: str = "") -> float:
    """A number times its unit's factor.

    Args:
        text: Such as ``1.5m``.
        units: Each unit's factor.
        what: For messages, such as ``a time with its unit, such as 30s``.
        bare: The unit to suggest for a bare number.

    Raises:
        PydanticCustomError: It has no unit, or one that is not among `units`.
    """
    matched = _QUANTITY.fullmatch(text)
    if matched is None:
        suggests = bare and re.fullmatch(_NUMBER, text)
        hint = f"did you mean '{text}{bare}'?" if suggests else ""
        raise complaint(f"should be {what}, not {shown(text)}", hint)
    number, unit = matched.groups()
    if unit not in units:
        meant = (right for right, wrong in _MEANT.items() if unit in wrong and right in units)
        near = next(meant, None)
        hint = f"did you mean '{near}'?" if near else did_you_mean(unit, units)
        raise complaint(f"unknown unit '{unit}' in {shown(text)}; units are {either(units, 'and')}", hint)
    return float(number) * units[unit]


def format_time(seconds: Seconds) -> str:
    """A spelling that a file may hold: 90.0 is ``90s``, 0.2 is ``200ms``, 7200.0 is ``2h``."""
    if not seconds:
        return "0"
    nanoseconds = round(seconds * NS_PER_S)
    for unit in ("h", "s", "ms", "us"):
        if nanoseconds % TIME_UNITS[unit] == 0:
            return f"{nanoseconds // TIME_UNITS[unit]}{unit}"
    return f"{nanoseconds / NS_PER_US:.3f}us"


def format_size(size: Bytes) -> str:
    """A spelling that a file may hold: 268435456 is ``256MiB``."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if size % SIZE_UNITS[unit] == 0)
    return f"{size // SIZE_UNITS[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class Time:
    """A field's type: seconds as a float, written with a unit in a file.

    Attributes:
        most: Upper bound in seconds.
        least: Lower bound in seconds.
        zero: Whether 0 is allowed; then it needs no unit.
    """

    most: Seconds
    least: Seconds = 0.0
    zero: bool = False

    def read(self, value: object, info: ValidationInfo) -> Seconds:
        """The time in seconds.

        Raises:
            PydanticCustomError: It is no time, has no unit or is out of bounds.
        """
        example = format_time(min(max(self.least, 30.0), self.most))
        what = f"a time with its unit, such as {example}"
        if isinstance(value, str):
            seconds = parse_quantity(value, TIME_UNITS, what) / NS_PER_S
        elif _is_number(value) and (value == 0 or not is_written(info)):
            seconds = float(value)
        else:
            hint = f"write {value}s, or another unit of {either(TIME_UNITS)}" if _is_number(value) else ""
            raise complaint(f"should be {what}, not {shown(value)}", hint)
        self._check(seconds, value)
        return seconds

    def _check(self, seconds: Seconds, value: object) -> None:
        if seconds == 0 and not self.zero:
            raise complaint("should be more than 0")
        if seconds and not self.least <= seconds <= self.most:
            least = f"at least {format_time(self.least)} and " if self.least else ""
            raise complaint(f"should be {least}at most {format_time(self.most)}, not {shown(value)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        text = {"type": "string", "pattern": f"^{_NUMBER} ?({'|'.join(TIME_UNITS)})$"}
        return {"anyOf": [text, {"const": 0}]} if self.zero else text


@dataclass(frozen=True, slots=True)
class Size:
    """A field's type: whole bytes, written with a unit in a file.

    Attributes:
        least: Lower bound in bytes.
        most: Upper bound in bytes.
    """

    least: Bytes
    most: Bytes

    def read(self, value: object, info: ValidationInfo) -> Bytes:
        """The size in bytes.

        Raises:
            PydanticCustomError: It is no size, has no unit or is out of bounds.
        """
        what = "a size with its unit, such as 256MiB"
        if isinstance(value, str):
            size = round(parse_quantity(value, SIZE_UNITS, what))
        elif _is_number(value) and not is_written(info):
            size = round(value)
        else:
            hint = f"write {value}MiB, or another unit of {either(SIZE_UNITS)}" if _is_number(value) else ""
            raise complaint(f"should be {what}, not {shown(value)}", hint)
        if not self.least <= size <= self.most:
            bounds = f"{format_size(self.least)} to {format_size(self.most)}"
            raise complaint(f"should be from {bounds}, not {shown(value)}")
        return size

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_NUMBER} ?({'|'.join(SIZE_UNITS)})$"}


def _is_number(value: Any) -> TypeGuard[int | float]:
    """True for numbers; YAML's booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
