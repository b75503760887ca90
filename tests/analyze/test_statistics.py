"""Intervals, outliers and quantiles, checked with known values and by simulation."""

from __future__ import annotations

import math
from random import Random
from statistics import median

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.analyze.statistics import (
    difference,
    median_interval,
    outliers,
    ratio,
    ratio_of_single,
    t_quantile,
    t_share,
)
from tests.analyze.systems import highest_share, lowest_share, sample_size

positive = st.lists(st.floats(0.01, 1e6), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.995, 8, 3.35539),
        (0.975, 30, 2.04227),
        (0.9995, 4.5, 7.58074),
    ],
)
def test_quantiles_of_students_t_match_published_tables(share, freedom, value):
    assert t_quantile(share, freedom) == pytest.approx(value, rel=1e-5)


@example(0.5000000000000001, 128.30061749399474)
@given(st.floats(0.5, 0.9999), st.floats(1, 200))
def test_a_quantile_has_its_share_below_it(share, freedom):
    assert t_share(t_quantile(share, freedom), freedom) == pytest.approx(share, abs=1e-9)


def test_with_many_degrees_of_freedom_t_is_the_normal_distribution():
    assert t_quantile(0.975, 1e6) == pytest.approx(1.959966, rel=1e-5)


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=9))
def test_the_interval_of_a_median_contains_it_and_is_reproducible(values):
    found = median_interval(values)

    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert found.value == median(values)
    assert median_interval(values) == found


@pytest.mark.parametrize(("count", "least", "most"), [(3, 0.70, 0.80), (5, 0.91, 0.96), (10, 0.91, 0.98)])
def test_the_interval_of_a_median_has_its_documented_coverage(count, least, most):
    random = Random(1)
    covered = 0
    cases = sample_size(300)
    for _ in range(cases):
        found = median_interval([random.gauss(10, 1) for _ in range(count)])
        covered += found.low <= 10 <= found.high

    assert lowest_share(least, cases) <= covered / cases <= highest_share(most, cases)


def test_two_values_have_no_interval():
    assert median_interval([1.0, 2.0]) is None


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([10, 10.1, 9.9, 10.05, 20], [4]),
        ([1000, 1000, 1000, 1000, 1001], []),
        ([1000, 1000, 1000, 1000, 500], [4]),
        ([1, 2, 3, 4, 5], []),
        ([1, 1, 100], []),
        ([0, 0, 0, 0, 0], []),
        ([0, 0, 0, 0, 0.3], [4]),
    ],
)
def test_outliers_are_values_far_from_the_median(values, found):
    assert outliers(values) == found


@given(positive, positive, st.floats(0.001, 0.2))
def test_swapping_the_sides_inverts_a_ratio(base, head, alpha):
    there, back = ratio(base, head, alpha=alpha), ratio(head, base, alpha=alpha)

    assert there.low <= there.value <= there.high
    assert there.value * back.value == pytest.approx(1, rel=1e-6)
    if there.low > 1e-100 and there.high < 1e100:
        assert there.low * back.high == pytest.approx(1, rel=1e-6)


def test_the_interval_of_a_ratio_has_its_nominal_coverage():
    random = Random(2)
    covered = 0
    for _ in range(1000):
        base = [math.exp(random.gauss(0, 0.1)) for _ in range(4)]
        head = [2 * math.exp(random.gauss(0, 0.2)) for _ in range(7)]
        found = ratio(base, head, alpha=0.1)
        covered += found.low <= 2 <= found.high

    assert 0.87 <= covered / 1000 <= 0.93


def test_the_interval_of_a_single_run_against_several_has_its_nominal_coverage():
    random = Random(3)
    covered = 0
    for _ in range(1000):
        base = [random.gauss(5, 1) for _ in range(5)]
        found = difference(base, [random.gauss(5, 1)], alpha=0.05)
        covered += found.low <= 0 <= found.high

    assert 0.93 <= covered / 1000 <= 0.97


def test_a_difference_without_variance_is_exact():
    assert difference([1.0, 1.0], [3.0, 3.0], alpha=0.05).low == 2.0
    assert ratio([2.0, 2.0], [3.0, 3.0], alpha=0.05).high == pytest.approx(1.5)


def test_a_single_run_is_as_certain_as_the_assumed_noise():
    found = ratio_of_single([1.0], [2.0], sigma=0.1, alpha=0.05)

    assert found.high / found.value == pytest.approx(math.exp(1.959964 * 0.1 * 2**0.5), rel=1e-5)


def test_extreme_values_do_not_overflow():
    found = ratio([1e-300, 1e-300], [1e300, 1e299], alpha=0.001)

    assert math.isfinite(found.high)
