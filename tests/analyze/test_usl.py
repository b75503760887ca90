"""The fit recovers the law behind the points, and its intervals contain the true parameters."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analyze.usl import Law, Point, fit, intervals
from tests.analyze.systems import sample_size

LAWS = st.builds(
    Law, st.floats(10, 1e5), st.just(0) | st.floats(1e-4, 0.6), st.just(0) | st.floats(1e-6, 0.1)
)
COUNTS = st.lists(st.integers(1, 64), min_size=3, max_size=10, unique=True)


def exact(law: Law, counts: list[int]) -> list[Point]:
    return [Point(n, law.at(n), law.at(n)) for n in counts]


@given(LAWS, COUNTS)
def test_points_of_a_law_recover_that_law(law: Law, counts: list[int]) -> None:
    found = fit(exact(law, counts))

    assert found is not None
    for n in range(1, 65):
        assert found.at(n) == pytest.approx(law.at(n), rel=1e-4)


def test_one_two_and_four_replicas_are_enough() -> None:
    found = fit(exact(Law(1000, 0.05, 0.02), [1, 2, 4]))

    assert found is not None
    assert (found.alone, found.contention, found.coherency) == pytest.approx((1000, 0.05, 0.02))
    assert found.peak == pytest.approx(math.sqrt(0.95 / 0.02))


@given(LAWS)
def test_the_peak_is_where_another_replica_stops_helping(law: Law) -> None:
    rates = [law.at(n) for n in range(1, 400)]
    best = 1 + rates.index(max(rates))

    if law.peak < 390:
        assert abs(best - max(law.peak, 1)) <= 1
    assert max(rates) <= law.ceiling * (1 + 1e-9)


def test_without_coherency_there_is_a_ceiling_but_no_peak() -> None:
    amdahl, linear = Law(100, 0.1, 0), Law(100, 0, 0)

    assert (amdahl.peak, amdahl.ceiling) == (math.inf, pytest.approx(1000))
    assert (linear.peak, linear.ceiling) == (math.inf, math.inf)
    assert linear.at(7) == 700


def test_superlinear_scaling_is_fitted_as_linear() -> None:
    found = fit([Point(n, rate, rate) for n, rate in ((1, 100), (2, 230), (4, 500))])

    assert found is not None
    assert (found.contention, found.coherency) == (0, 0)


@given(LAWS, COUNTS, st.lists(st.floats(0.7, 1.3), min_size=10, max_size=10))
def test_with_any_noise_the_fit_is_the_best_law_without_negative_parameters(
    law: Law, counts: list[int], noise: list[float]
) -> None:
    points = [Point(n, law.at(n) * off, law.at(n) * off) for n, off in zip(counts, noise, strict=False)]
    found = fit(points)

    if found is None:  # no finite rate of one replica follows from them
        assert 1 not in counts
        return
    assert found.contention >= 0
    assert found.coherency >= 0
    assert distance(found, points) <= distance(law, points) * (1 + 1e-6) + 1e-12


def distance(law: Law, points: list[Point]) -> float:
    """Return the relative errors of N/X, which the fit minimises."""
    return sum((1 - point.rate / law.at(point.replicas)) ** 2 for point in points)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.floats(1, 1e4)), max_size=6))
def test_two_numbers_of_replicas_cannot_separate_contention_from_coherency(pairs: list) -> None:
    assert fit([Point(n, rate, rate) for n, rate in pairs]) is None


def test_exact_points_without_any_width_have_no_interval() -> None:
    law = Law(1000, 0.05, 0.02)

    assert intervals(exact(law, [1, 2, 4]), law) is None


def test_intervals_have_about_their_nominal_coverage() -> None:
    law, held = Law(1000, 0.1, 0.03), 0
    random = Random(7)
    cases = sample_size(50)
    for _ in range(cases):
        points = [around(law.at(n), n, random) for n in (1, 2, 3, 4, 6, 8)]
        found = fit(points)
        assert found is not None
        ranges = intervals(points, found)
        assert ranges is not None
        held += ranges.contention[0] <= law.contention <= ranges.contention[1]
        held += ranges.coherency[0] <= law.coherency <= ranges.coherency[1]

    assert held >= 0.85 * 2 * cases


def around(rate: float, replicas: int, random: Random) -> Point:
    """Return a range of 5 %, as from a search, that contains the true capacity."""
    low = rate / (1 + random.uniform(0, 0.05))
    return Point(replicas, low, low * 1.05)


def test_a_narrower_search_gives_narrower_intervals() -> None:
    law = Law(1000, 0.1, 0.03)
    widths = []
    for bracket in (0.1, 0.02, 0.005):
        points = [Point(n, law.at(n), law.at(n) * (1 + bracket)) for n in (1, 2, 4)]
        found = fit(points)
        assert found is not None
        ranges = intervals(points, found)
        assert ranges is not None
        widths.append(ranges.contention[1] - ranges.contention[0])

    assert all(wide > narrow for wide, narrow in pairwise(widths))


def test_the_same_points_give_the_same_intervals() -> None:
    law = Law(1000, 0.1, 0.03)
    points = [Point(n, law.at(n), law.at(n) * 1.05) for n in (1, 2, 4)]

    assert intervals(points, law) == intervals(points, law)
