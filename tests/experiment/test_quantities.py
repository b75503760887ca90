"""Times and sizes have a unit, and a wrong unit is answered with a suggestion."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runner.experiment.base_model import FROM_FILE
from runner.experiment.quantities import GIB, HOUR, KIB, MIB, Size, Time, format_size, format_time

TIME = TypeAdapter(Annotated[float, Time(max_s=HOUR)])
PAUSE = TypeAdapter(Annotated[float, Time(max_s=HOUR, zero=True)])
SIZE = TypeAdapter(Annotated[int, Size(min_bytes=KIB, max_bytes=GIB)])


def read(adapter: TypeAdapter, value: object) -> object:
    return adapter.validate_python(value, context=FROM_FILE)


def problem_with(adapter: TypeAdapter, value: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(adapter, value)
    (error,) = caught.value.errors()
    return error["msg"], error["ctx"]["hint"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("200ms", 0.2),
        ("1.5m", 90),
        ("1h", 3600),
        ("800us", 0.0008),
        ("7ms", 0.007),
        ("0.1s", 0.1),
        ("2 s", 2),
    ],
)
def test_a_time_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert read(TIME, text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256MiB", 256 * MIB),
        ("1GiB", GIB),
        ("1.5MiB", 3 * MIB // 2),
        ("2kB", 2000),
        ("1MB", 10**6),
        ("4096B", 4096),
    ],
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert read(SIZE, text) == size


WRONG_TIMES = [
    (
        "no unit",
        30,
        "should be a time with a unit, such as 30s, not 30",
        "write 30s, or use another unit: us, ms, s, m or h",
    ),
    ("no unit in quotes", "30", "should be a time with a unit, such as 30s, not '30'", ""),
    (
        "a long unit",
        "30 seconds",
        "unknown unit 'seconds' in '30 seconds'; units are us, ms, s, m and h",
        "did you mean 's'?",
    ),
    ("a micro sign", "5µs", "unknown unit 'µs' in '5µs'; units are us, ms, s, m and h", "did you mean 'us'?"),
    ("a clock", "1:30", "should be a time with a unit, such as 30s, not '1:30'", ""),
    ("two units", "1m30s", "should be a time with a unit, such as 30s, not '1m30s'", ""),
    ("a sign", "-5s", "should be a time with a unit, such as 30s, not '-5s'", ""),
    ("days", "1d", "unknown unit 'd' in '1d'; units are us, ms, s, m and h", ""),
    ("a boolean", True, "should be a time with a unit, such as 30s, not true", ""),
    ("nothing", None, "should be a time with a unit, such as 30s, not empty", ""),
    ("infinity", ".inf", "should be a time with a unit, such as 30s, not '.inf'", ""),
    ("zero", 0, "should be more than 0", ""),
    ("zero seconds", "0s", "should be more than 0", ""),
    ("too long", "2h", "should be at most 1h, not '2h'", ""),
    ("far too long", "999999999999999h", "should be at most 1h, not '999999999999999h'", ""),
]


@pytest.mark.parametrize(
    ("value", "message", "hint"), [row[1:] for row in WRONG_TIMES], ids=[row[0] for row in WRONG_TIMES]
)
def test_an_invalid_time_is_explained(value: object, message: str, hint: str) -> None:
    assert problem_with(TIME, value) == (message, hint)


WRONG_SIZES = [
    ("no unit", 256, "should be a size with a unit, such as 256MiB, not 256"),
    ("docker's unit", "256m", "unknown unit 'm' in '256m'; units are B, KiB, MiB, GiB, kB, MB and GB"),
    ("kubernetes' unit", "256Mi", "unknown unit 'Mi' in '256Mi'; units are B, KiB, MiB, GiB, kB, MB and GB"),
    ("too small", "1B", "should be from 1KiB to 1GiB, not '1B'"),
    ("too large", "2GiB", "should be from 1KiB to 1GiB, not '2GiB'"),
]


@pytest.mark.parametrize(
    ("value", "message"), [row[1:] for row in WRONG_SIZES], ids=[row[0] for row in WRONG_SIZES]
)
def test_an_invalid_size_is_explained(value: object, message: str) -> None:
    assert problem_with(SIZE, value)[0] == message


@pytest.mark.parametrize(
    ("unit", "meant"), [("256m", "MiB"), ("256Mi", "MiB"), ("1g", "GiB"), ("9KB", "KiB")]
)
def test_the_unit_of_another_tool_is_translated(unit: str, meant: str) -> None:
    assert problem_with(SIZE, unit)[1] == f"did you mean '{meant}'?"


def test_zero_needs_no_unit_where_it_is_allowed() -> None:
    assert read(PAUSE, 0) == 0


def test_from_python_a_time_is_seconds_and_a_size_is_bytes() -> None:
    assert TIME.validate_python(0.25) == 0.25
    assert SIZE.validate_python(4096) == 4096


@given(st.integers(1, 3_600_000_000))
def test_every_formatted_time_reads_back(microseconds: int) -> None:
    assert read(TIME, format_time(microseconds / 1e6)) == microseconds / 1e6


@given(st.integers(KIB, GIB))
def test_every_formatted_size_reads_back(size: int) -> None:
    assert read(SIZE, format_size(size)) == size
