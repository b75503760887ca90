"""Percentiles over all requests that were due: one that failed or was dropped is infinitely slow."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from runner.analyze.latency import distribution, latency, percentiles_of_all
from runner.core import histogram
from runner.core.codes import Unbounded
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.units import NS_PER_MS

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}


def facts(times_ms, *, failed=0, dropped=0, **more):
    values = histogram.of(round(ms * NS_PER_MS) for ms in times_ms)
    count = len(times_ms)
    second = LoadSecond(
        0, scheduled=count + failed + dropped, sent=count + failed, succeeded=count, dropped=dropped,
        failures={"timeout": failed} if failed else {}, duration=values, response_time=values,
        connect=values, first_byte=values,
    )  # fmt: skip
    return LoadFacts("builtin", 1, second.scheduled, (second,), complete=True, clock="", **more)


@pytest.mark.parametrize("name", ["duration", "response_time", "first_byte"])
def test_a_percentile_among_failed_requests_has_no_finite_value(name):
    found = latency(facts([10] * 90, failed=10), name)

    assert (found.p50, found.p90) == (10.0, 10.0)
    assert (found.p95, found.p99, found.p999) == (None, None, None)
    assert found.unbounded == dict.fromkeys(["p95", "p99", "p999", "max"], Unbounded.LOST)
    assert (found.mean, found.max) == (10.0, 10.0)


def test_dropped_requests_count_as_failed_ones():
    assert latency(facts([10] * 90, failed=4, dropped=6), "duration") == latency(
        facts([10] * 90, failed=10), "duration"
    )


def test_without_losses_every_statistic_is_finite():
    assert latency(facts([10] * 100), "duration").unbounded is UNSET


def test_the_time_to_connect_is_known_whether_or_not_requests_fail():
    assert latency(facts([1] * 90, failed=10), "connect").unbounded is UNSET


def test_without_any_success_no_percentile_is_finite():
    found = latency(facts([], failed=5), "duration")

    assert found.p50 is None
    assert set(found.unbounded) == {*PERCENTILES, "max"}


def test_values_that_a_histogram_does_not_resolve_are_no_percentile():
    found = latency(facts([20] * 90 + [3_677_070] * 10), "response_time")

    assert found.p50 == pytest.approx(20, rel=0.001)
    assert (found.p99, found.max) == (None, 3_677_070)
    assert found.unbounded == dict.fromkeys(["p95", "p99", "p999"], Unbounded.OUT_OF_RANGE)


@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(0, 2**32))
def test_percentiles_are_those_of_the_sorted_times_with_losses_as_infinity(count, lost, seed):
    noise = random.Random(seed)
    times = sorted(noise.randint(0, 2000) / 1000 for _ in range(count))  # below 2.048 ms buckets are exact
    everything = [*times, *[math.inf] * lost]
    expected = [
        everything[max(1, math.ceil(round(share * len(everything) / 100, 6))) - 1]
        for share in PERCENTILES.values()
    ]

    found = percentiles_of_all(
        histogram.of(round(ms * NS_PER_MS) for ms in times), lost, list(PERCENTILES.values())
    )
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_distribution_ends_where_the_losses_begin():
    pairs = distribution(facts([10] * 90, failed=10))

    assert max(share for share, _ in pairs) == 90


def test_statistics_of_an_engine_are_cut_where_the_losses_begin():
    stated = {"duration": dict.fromkeys(["mean", *PERCENTILES, "max"], 12.0), "response_time": None}
    found = latency(facts([10] * 90, failed=10, stated_ms=stated), "duration")

    assert (found.p50, found.p90, found.p95) == (12.0, 12.0, None)
    assert found.unbounded["p95"] is Unbounded.LOST
    assert latency(facts([10] * 90, failed=10, stated_ms=stated), "response_time").unbounded is UNSET
