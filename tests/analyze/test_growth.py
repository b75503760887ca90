"""A queue that builds up is growth in windows of 3 s and more; the noise of a steady level is not."""

import itertools
import math
from random import Random

import pytest
from msgspec.structs import replace

from runner.analyze.growth import SIGNIFICANCE, grew, queue_is_full, trend_probability
from runner.core.measured import Latency
from runner.core.observed_results import Moment
from runner.core.ramp import Ramp
from tests.analyze.stages import NOTHING

TRIALS = 300


def with_levels(levels, *, due=1000, begin=1, **changes):
    """Return a stage with so many requests in flight at the end of its seconds, from second `begin` on."""
    seconds = [
        Moment(float(at), None, None, in_flight=max(0, round(level)))
        for at, level in enumerate(levels, begin)
    ]
    requests = replace(NOTHING.requests, scheduled=due)
    return replace(
        NOTHING, timeseries=tuple(seconds), window_s=seconds[-1].t_s, **{"requests": requests} | changes
    )


def share_that_grew(make, seed=7):
    random = Random(seed)
    return sum(grew(make(random)) for _ in range(TRIALS)) / TRIALS


def independent(random, mean, dispersion=1.0):
    return random.gauss(mean, math.sqrt(dispersion * mean))


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param((67, 148, 216, 267, 262), id="the last second is read when no more requests are due"),
        pytest.param((100, 200, 300), id="3 s"),
        pytest.param((0, 60, 130, 190), id="4 s"),
        pytest.param(range(0, 600, 10), id="a minute"),
        pytest.param((10, 45, 80, 70, 150, 190, 230, 260), id="with a step back"),
    ],
)
def test_a_queue_that_builds_up_grows(levels):
    assert grew(with_levels(levels))


@pytest.mark.parametrize(
    ("levels", "due"),
    [
        ((100, 100, 100, 100, 100), 1000),
        ((300, 250, 200, 150), 1000),
        ((20, 24, 28, 33, 36), 100_000),  # less than 1 % of the due requests
        ((1, 2, 3, 4, 5), 100),  # so few differ by chance
        ((5, 5, 5, 5, 200, 5, 5, 5), 1000),  # one slow second
        ((0, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80), 1000),  # the first responses take long
        ((50,), 100),
    ],
)
def test_a_level_that_is_steady_falls_or_rises_by_a_trifle_did_not_grow(levels, due):
    assert not grew(with_levels(levels, due=due))


@pytest.mark.parametrize("seconds", [3, 4, 5, 10, 40])
@pytest.mark.parametrize("mean", [20, 1000])
@pytest.mark.parametrize("dispersion", [1.0, 4.0])
def test_noise_around_a_steady_level_is_hardly_ever_growth(seconds, mean, dispersion):
    def steady(random):
        return with_levels([independent(random, mean, dispersion) for _ in range(seconds)], due=1)

    chance = 2 * math.sqrt(SIGNIFICANCE / TRIALS)
    assert share_that_grew(steady) <= SIGNIFICANCE + chance


@pytest.mark.parametrize("seconds", [3, 5, 10, 40])
def test_an_overload_of_a_fifth_is_nearly_always_growth(seconds):
    def overloaded(random):  # 400 requests a second, and a sixth of them more than can be served
        levels = itertools.accumulate(independent(random, 400, 2.0) - 333 for _ in range(seconds + 1))
        return with_levels(list(levels), due=400 * seconds, begin=0)

    assert share_that_grew(overloaded) > 0.9


def test_a_ramp_that_is_served_in_the_same_time_does_not_grow():
    rate = Ramp(100.0, 500.0)
    served = [rate.at(at / 10) * 0.2 for at in range(11)]
    waiting = [level * (1 + at / 5) for at, level in enumerate(served)]

    assert not grew(with_levels(served, begin=0, ramp=rate))
    assert grew(with_levels(waiting, begin=0, ramp=rate))


def test_users_are_as_many_as_they_are():
    assert not grew(with_levels((10, 50, 100, 150), users=Ramp(1.0, 150.0)))


@pytest.mark.parametrize(
    ("full", "changes"),
    [
        (True, {"requests": replace(NOTHING.requests, dropped=5)}),
        (True, {"requests": replace(NOTHING.requests, failed=5, failures={"timeout": 5})}),
        (True, {"requests": replace(NOTHING.requests, failed=5, failures={"connect_timeout": 5})}),
        (True, {"dispatch_delay_ms": Latency(mean=800.0), "response_time_ms": Latency(mean=1000.0)}),
        (False, {"dispatch_delay_ms": Latency(mean=0.3), "response_time_ms": Latency(mean=1.0)}),
        (False, {"requests": replace(NOTHING.requests, failed=5, failures={"bad_status": 5})}),
    ],
)
def test_a_full_queue_loses_requests_or_lets_them_wait_for_a_slot_and_does_not_grow(full, changes):
    stage = with_levels((200, 200, 201, 200), **changes)

    assert queue_is_full(stage) is full
    assert not grew(stage)


def test_probabilities_of_the_trend_test_are_those_of_all_orders():
    orders = list(itertools.permutations(range(5)))

    def ascending(values):
        return sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))

    for values in orders[::7]:
        exact = sum(ascending(other) >= ascending(values) for other in orders) / len(orders)
        assert trend_probability(values) == pytest.approx(exact)
    assert trend_probability((1, 1, 1, 1)) > 0.5
