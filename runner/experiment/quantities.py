"""Times and sizes with units: ``200ms``, ``30s``, ``1.5m``, ``256MiB``.

A number without a unit is refused in a file, because it means seconds in some tools and
milliseconds in others. In Python, a time is a number of seconds and a size a number of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeGuard

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from runner.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, Bytes, Seconds
from runner.experiment.base_model import invalid_value, is_from_file
from runner.experiment.suggestions import did_you_mean, display, join_words

MINUTE: Final = 60.0
HOUR: Final = 3600.0
KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
_BOUNDS: Final = 2

TIME_UNITS: Final = {
    "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S,
}  # fmt: skip
"""Factors to nanoseconds."""
SIZE_UNITS: Final = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
"""Factors to bytes."""

_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_QUANTITY: Final = re.compile(rf"({_NUMBER}) ?([^\W\d]{{1,20}})")
_COMMON_SPELLINGS: Final = {
    "us": ("\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec"),
    "ms": ("msec", "millis"),
    "s": ("S", "sec", "secs", "second", "seconds"),
    "m": ("M", "min", "mins", "minute", "minutes"),
    "h": ("H", "hr", "hrs", "hour", "hours"),
    "KiB": ("k", "K", "Ki", "kb", "Kb", "KB"),
    "MiB": ("m", "M", "Mi", "mb", "Mb"),
    "GiB": ("g", "G", "Gi", "gb", "Gb"),
}


def parse_quantity(text: str, units: Mapping[str, int], requirement: str, *, default_unit: str = "") -> float:
    """Return the number in a text such as ``1.5m``, times the factor that `units` has for its unit.

    A `PydanticCustomError` begins with `requirement`, and suggests `default_unit` for a number without one.
    """
    matched = _QUANTITY.fullmatch(text)
    if matched is None:
        suggests = default_unit and re.fullmatch(_NUMBER, text)
        hint = f"did you mean '{text}{default_unit}'?" if suggests else ""
        raise invalid_value(f"{requirement}, not {display(text)}", hint)
    number, unit = matched.groups()
    if unit not in units:
        matches = (right for right, wrong in _COMMON_SPELLINGS.items() if unit in wrong and right in units)
        near = next(matches, None)
        hint = f"did you mean '{near}'?" if near else did_you_mean(unit, units)
        raise invalid_value(
            f"unknown unit '{unit}' in {display(text)}; units are {join_words(units, 'and')}", hint
        )
    return float(number) * units[unit]


def format_time(seconds: Seconds) -> str:
    """Return the time as a file contains it: 90.0 is ``90s``, 0.2 is ``200ms``, 7200.0 is ``2h``."""
    if not seconds:
        return "0"
    nanoseconds = round(seconds * NS_PER_S)
    for unit in ("h", "s", "ms", "us"):
        if nanoseconds % TIME_UNITS[unit] == 0:
            return f"{nanoseconds // TIME_UNITS[unit]}{unit}"
    return f"{nanoseconds / NS_PER_US:.3f}us"


def format_size(size: Bytes) -> str:
    """Return the size as a file contains it: 268435456 is ``256MiB``."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if size % SIZE_UNITS[unit] == 0)
    return f"{size // SIZE_UNITS[unit]}{unit}"


def format_pause(pause: tuple[Seconds, Seconds]) -> Any:
    """Return a pause as a file contains it: ``2s``, or ``[1s, 3s]``."""
    shortest, longest = (format_time(bound) if bound else 0 for bound in pause)
    return shortest if shortest == longest else [shortest, longest]


class Time(NamedTuple):
    """The type of a time field: seconds as a float, with a unit in a file; 0, if `zero`, needs none."""

    max_s: Seconds
    min_s: Seconds = 0.0
    zero: bool = False

    def read(self, value: object, info: ValidationInfo) -> Seconds:
        """Return the time in seconds, or raise a `PydanticCustomError` about it."""
        example = format_time(min(max(self.min_s, 30.0), self.max_s))
        requirement = f"should be a time with a unit, such as {example}"
        if isinstance(value, str):
            seconds = parse_quantity(value, TIME_UNITS, requirement) / NS_PER_S
        elif _is_number(value) and (value == 0 or not is_from_file(info)):
            seconds = float(value)
        else:
            raise _without_unit(requirement, value, "s", TIME_UNITS)
        self._check(seconds, value)
        return seconds

    def _check(self, seconds: Seconds, value: object) -> None:
        if seconds == 0 and not self.zero:
            raise invalid_value("should be more than 0")
        if seconds and not self.min_s <= seconds <= self.max_s:
            lower = f"at least {format_time(self.min_s)} and " if self.min_s else ""
            raise invalid_value(f"should be {lower}at most {format_time(self.max_s)}, not {display(value)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        text = {"type": "string", "pattern": f"^{_NUMBER} ?({'|'.join(TIME_UNITS)})$"}
        return {"anyOf": [text, {"const": 0}]} if self.zero else text


class PauseTime(NamedTuple):
    """The type of a pause: the shortest and the longest time in seconds, with units in a file."""

    max_s: Seconds

    def read(self, value: object, info: ValidationInfo) -> tuple[Seconds, Seconds]:
        """Return the bounds of the pause, or raise a `PydanticCustomError` about it."""
        bounds = value if isinstance(value, list | tuple) else [value, value]
        if len(bounds) != _BOUNDS:
            message = "should be a time, or the shortest and the longest time"
            raise invalid_value(f"{message}, not {len(bounds)} times", "such as 2s or [1s, 3s]")
        time = Time(max_s=self.max_s, zero=True)
        shortest, longest = (time.read(bound, info) for bound in bounds)
        if shortest > longest:
            message = f"should begin with the shorter time, not {display(bounds[0])}"
            raise invalid_value(message, f"write [{format_time(longest)}, {format_time(shortest)}]")
        return shortest, longest

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        time = Time(max_s=self.max_s, zero=True).__get_pydantic_json_schema__(core, handler)
        both = {"type": "array", "items": time, "minItems": 2, "maxItems": 2}
        return {"anyOf": [*time["anyOf"], both]}


class Size(NamedTuple):
    """The type of a size field: whole bytes, with a unit in a file."""

    min_bytes: Bytes
    max_bytes: Bytes

    def read(self, value: object, info: ValidationInfo) -> Bytes:
        """Return the size in bytes, or raise a `PydanticCustomError` about it."""
        requirement = "should be a size with a unit, such as 256MiB"
        if isinstance(value, str):
            size = round(parse_quantity(value, SIZE_UNITS, requirement))
        elif _is_number(value) and not is_from_file(info):
            size = round(value)
        else:
            raise _without_unit(requirement, value, "MiB", SIZE_UNITS)
        if not self.min_bytes <= size <= self.max_bytes:
            bounds = f"{format_size(self.min_bytes)} to {format_size(self.max_bytes)}"
            raise invalid_value(f"should be from {bounds}, not {display(value)}")
        return size

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_NUMBER} ?({'|'.join(SIZE_UNITS)})$"}


def _without_unit(requirement: str, value: object, unit: str, units: Mapping[str, int]) -> Exception:
    hint = f"write {value}{unit}, or use another unit: {join_words(units)}" if _is_number(value) else ""
    return invalid_value(f"{requirement}, not {display(value)}", hint)


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether it is a number; a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
