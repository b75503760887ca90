"""The knee is where a latency curve rises sharply; other curves have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analyze.knee import MIN_POINTS, knee


@given(st.integers(4, 20), st.integers(1, 3), st.floats(1, 20), st.floats(1, 500))
def test_the_knee_of_a_hockey_stick_is_its_last_flat_rate(
    flat: int, tail: int, low: float, steep: float
) -> None:
    curve = [(rate, low + steep * max(0, rate - flat)) for rate in range(1, flat + tail + 1)]

    assert knee(curve) == flat
    assert knee(curve[::-1]) == flat


@pytest.mark.parametrize("capacity", [1000, 5000])
def test_the_knee_of_a_queue_is_where_its_response_time_rises(capacity: int) -> None:
    # The response time of an M/M/1 queue is 1 / (service rate − arrival rate).
    curve = [(capacity * n / 20, 1000 / (capacity - capacity * n / 20)) for n in range(1, 20)]

    found = knee(curve)

    assert found is not None
    assert 0.75 <= found / capacity <= 0.95


@given(st.floats(0.1, 100), st.floats(0, 100), st.integers(MIN_POINTS, 20))
def test_a_straight_line_has_no_knee(slope: float, foot: float, points: int) -> None:
    assert knee([(n, foot + slope * n) for n in range(points)]) is None


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1e5)), max_size=20, unique_by=lambda p: p[0]))
def test_the_knee_of_any_curve_is_one_of_its_rates(curve: list[tuple[float, float]]) -> None:
    assert knee(curve) in {None, *(rate for rate, _ in curve)}


def test_too_few_points_and_a_flat_curve_have_no_knee() -> None:
    assert knee([(1, 1), (2, 1), (3, 50), (4, 90)]) is None
    assert knee([(rate, 3.0) for rate in range(10)]) is None
