"""The share of a ramp that a service sustained, against simulated servers."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from runner.analyze.achieved import achieved
from runner.core.ramp import Ramp
from tests.analyze.simulated import Ended, constant, due_times, in_any_order, order, queue, record, sharing

LEVELS = st.one_of(st.just(0.0), st.floats(0.5, 400).map(lambda rate: round(rate, 2)))
RAMPS = st.builds(Ramp, LEVELS, LEVELS).filter(lambda ramp: ramp.begin != ramp.to and ramp.mean > 1)
WINDOWS = st.floats(2, 12).map(lambda seconds: round(seconds, 2))
WARMUPS = st.one_of(st.just(0.0), st.floats(0, 6).map(lambda seconds: round(seconds, 2)))


def share(ramp, window, requests, warmup=0.0, *, poisson=False):
    """Return the share of the requests that `requests`, from due times to their ends, leaves."""
    o = order(ramp.begin, window, warmup, rate_to=ramp.to, poisson=poisson)
    return achieved(record(o, requests(due_times(o))), ramp.mean, window, warmup, ramp)


@settings(deadline=None)
@given(RAMPS, WINDOWS, WARMUPS, st.floats(0, 30))
@example(Ramp(10.0, 500.0), 10.0, 1.0, 0.02)
@example(Ramp(0.0, 5.0), 2.0, 0.0, 3.0)
@example(Ramp(400.0, 1.0), 4.0, 6.0, 9.0)
def test_a_constant_response_time_achieves_a_ramp_exactly(ramp, window, warmup, latency):
    assert share(ramp, window, constant(latency), warmup) == 1.0


@settings(deadline=None)
@given(st.floats(0.2, 0.95), st.floats(6, 12), st.integers(1, 8), st.booleans())
@example(0.5, 10.0, 1, False)
def test_a_ramp_beyond_the_capacity_achieves_what_was_below_it(part, window, servers, poisson):
    ramp = Ramp(0.0, 400.0)
    capacity = part * ramp.to
    # the integral of min(rate, capacity) over that of the rate
    sustained = part * (2 - part)

    found = share(ramp, window, queue(capacity, servers=servers), poisson=poisson)

    assert found == pytest.approx(sustained, abs=0.02 + 4 * servers / (ramp.mean * window) + 0.08 * poisson)


ORDERS = {
    "shared by all": sharing(200),
    "the newest first": in_any_order(200, lambda waiting: len(waiting) - 1),
    "a bounded queue": queue(200, 30),
}


@pytest.mark.parametrize("server", ORDERS.values(), ids=ORDERS)
def test_the_order_in_which_a_backlog_is_served_gains_nothing(server):
    found = share(Ramp(0.0, 400.0), 10.0, server)

    assert found == pytest.approx(0.75, abs=0.03) or (server is ORDERS["shared by all"] and found < 0.75)


@settings(deadline=None)
@given(RAMPS, WINDOWS, WARMUPS, st.floats(1, 800), st.integers(0, 300), st.floats(0, 1), st.data())
def test_it_is_never_above_100_per_cent_and_one_more_failure_never_raises_it(
    ramp, window, warmup, capacity, bound, jitter, data
):
    o = order(ramp.begin, window, warmup, rate_to=ramp.to)
    noise = random.Random(2)
    requests = [
        dataclasses.replace(r, end=r.end + noise.random() * jitter) if r.end is not None else r
        for r in queue(capacity, bound)(due_times(o))
    ]
    good = [at for at, r in enumerate(requests) if r.ok and r.due >= warmup]
    assume(good)
    at = data.draw(st.sampled_from(good))
    failed = [*requests[:at], dataclasses.replace(requests[at], ok=False), *requests[at + 1 :]]

    before, after = (
        achieved(record(o, these), ramp.mean, window, warmup, ramp) for these in (requests, failed)
    )
    assert 0 <= after <= before <= 1
    assert after < 1


@pytest.mark.parametrize("place", range(5))
def test_a_failure_among_few_requests_of_a_falling_ramp_never_raises_it(place):
    ramp, window = Ramp(3.0, 0.0), 3.0
    o = order(ramp.begin, window, 0.0, rate_to=ramp.to)
    requests = queue(1.0, 1)(due_times(o))
    failed = [dataclasses.replace(r, ok=False) if at == place else r for at, r in enumerate(requests)]

    before, after = (achieved(record(o, these), ramp.mean, window, 0.0, ramp) for these in (requests, failed))
    assert after <= before


@pytest.mark.parametrize("seed", range(10))
def test_scattered_response_times_are_no_backlog(seed):
    noise = random.Random(seed)

    found = share(
        Ramp(10.0, 500.0), 10.0, lambda due: [Ended(at, at + noise.uniform(0.1, 1.0)) for at in due]
    )

    assert found == 1


def test_a_service_that_becomes_slower_but_keeps_up_achieves_nearly_all():
    def slower(due):
        return [Ended(at, at + 0.01 + at * 0.004) for at in due]

    assert share(Ramp(50.0, 500.0), 10.0, slower) > 0.99
