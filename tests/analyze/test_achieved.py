from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.analyze.achieved import achieved
from runner.core.load_facts import LoadFacts, LoadSecond
from tests.analyze.simulated import (
    Ended,
    constant,
    due_times,
    in_any_order,
    order,
    queue,
    record,
    sharing,
    simulate,
)

RATES = st.floats(0.3, 400).map(lambda rate: round(rate, 2))
WINDOWS = st.floats(1, 12).map(lambda seconds: round(seconds, 2))
WARMUPS = st.one_of(st.just(0.0), st.floats(0, 6).map(lambda seconds: round(seconds, 2)))


def share(o, server):
    return achieved(simulate(o, server), o.rate, o.duration, o.warmup)


@given(RATES, WINDOWS, WARMUPS, st.floats(0, 30), st.booleans())
@example(2.5, 3.0, 0.0, 0.15, False)
@example(0.5, 3.0, 0.0, 0.15, False)
@example(7.3, 2.7, 0.4, 5.0, False)
@example(263.0, 3.0, 5.5, 6.0, True)
def test_a_constant_response_time_achieves_the_rate_exactly(rate, window, warmup, latency, poisson):
    o = order(rate, window, warmup, poisson=poisson)
    facts = simulate(o, constant(latency))

    assert achieved(facts, rate, window, warmup) == (1.0 if facts.planned else None)


@given(st.floats(50, 400), st.floats(0.1, 0.97), st.floats(5, 12), WARMUPS, st.integers(1, 8), st.booleans())
@example(200.0, 0.5, 10.0, 0.0, 1, False)
@example(200.0, 0.5, 10.0, 5.0, 1, False)
def test_an_unbounded_queue_achieves_the_capacity(rate, part, window, warmup, servers, poisson):
    o = order(rate, window, warmup, poisson=poisson)
    n = len(due_times(o))
    due_rate = n / (window + warmup)
    found = share(o, queue(part * rate, servers=servers))

    # of few requests, one is more than 1 %; with random arrivals not exactly rate x window are due
    tolerance = 0.01 + (servers + 2) / (rate * window) + (abs(due_rate / rate - 1) + 0.1 if poisson else 0)
    assert found == pytest.approx(part, abs=tolerance)


@given(st.floats(50, 400), st.floats(0.1, 0.97), st.floats(5, 12), WARMUPS, st.integers(2, 300))
@example(200.0, 0.5, 10.0, 0.0, 100)
@example(400.0, 0.9, 6.0, 0.0, 64)
def test_a_bounded_queue_achieves_the_capacity(rate, part, window, warmup, bound):
    o = order(rate, window, warmup)

    assert share(o, queue(part * rate, bound)) == pytest.approx(part, abs=0.01 + 3 / (rate * window))


@given(RATES, WINDOWS, WARMUPS, st.floats(1, 800), st.integers(0, 300), st.floats(0, 0.5))
def test_it_is_never_above_100_per_cent(rate, window, warmup, capacity, bound, jitter):
    o = order(rate, window, warmup)
    noise = random.Random(1)
    requests = [
        dataclasses.replace(r, end=r.end + noise.random() * jitter) if r.end is not None else r
        for r in queue(capacity, bound)(due_times(o))
    ]

    assert 0 <= (achieved(record(o, requests), rate, window, warmup) or 0) <= 1


@given(RATES, WINDOWS, WARMUPS, st.floats(1, 800), st.integers(0, 300), st.floats(0, 1), st.data())
def test_one_more_failure_never_raises_it(rate, window, warmup, capacity, bound, jitter, data):
    o = order(rate, window, warmup)
    noise = random.Random(2)
    requests = [
        dataclasses.replace(r, end=r.end + noise.random() * jitter) if r.end is not None else r
        for r in queue(capacity, bound)(due_times(o))
    ]
    good = [at for at, r in enumerate(requests) if r.ok and r.due >= warmup]
    assume(good)
    at = data.draw(st.sampled_from(good))
    failed = [*requests[:at], dataclasses.replace(requests[at], ok=False), *requests[at + 1 :]]

    before, after = (achieved(record(o, these), rate, window, warmup) for these in (requests, failed))
    assert after <= before
    assert after < 1


def jittery(seed, low, high):
    noise = random.Random(seed)
    return lambda due: [Ended(at, at + noise.uniform(low, high)) for at in due]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("rate", "window"), [(10, 3), (100, 5), (1000, 5)])
def test_scattered_response_times_are_no_backlog(seed, rate, window):
    found = share(order(rate, window), jittery(seed, 0.1, 1.0))

    assert found == 1 or (rate == 10 and found > 0.8)  # of 30 requests, chance can look like growth


ORDERS = {
    "shared by all": sharing(50),
    "the newest first": in_any_order(50, lambda waiting: len(waiting) - 1),
    "at random": in_any_order(50, lambda waiting: random.Random(len(waiting)).randrange(len(waiting))),
}


@pytest.mark.parametrize("warmup", [0, 3, 6])
@pytest.mark.parametrize("server", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("window", [5, 10])
def test_the_order_in_which_a_backlog_is_served_gains_nothing(server, warmup, window):
    found = share(order(75, window, warmup), server)

    # a shared processor ends less than it works for: what it has begun is done after the window
    assert found == pytest.approx(50 / 75, abs=0.03) or (server is ORDERS["shared by all"] and found < 0.67)


def test_a_pause_at_the_end_of_the_window_is_no_backlog():
    def pausing(due):
        return [Ended(at, max(at + 0.002, 10.05) if at > 9.75 else at + 0.002) for at in due]

    assert share(order(500, 10), pausing) == 1


def test_a_service_that_becomes_slower_but_keeps_up_achieves_its_rate():
    assert share(order(500, 10), lambda due: [Ended(at, at + 0.01 + at * 0.004) for at in due]) == 1


def test_one_overloaded_replica_of_two_counts_half():
    def two(due):
        healthy, slow = constant(0.005)(due[::2]), queue(50)(due[1::2])
        return sorted([*healthy, *slow], key=lambda request: request.due)

    assert share(order(200, 10), two) == pytest.approx(0.75, abs=0.01)


def test_an_outage_in_the_middle_that_is_made_up_for_costs_nothing():
    def outage(due):
        return [Ended(at, max(at + 0.002, 5.0) if 4 < at < 5 else at + 0.002) for at in due]

    assert share(order(500, 10), outage) == 1


def test_a_service_that_stops_at_half_time_achieves_half():
    def stops(due):
        return [Ended(at, at + 0.002 if at < 5 else at + 3, ok=at < 5) for at in due]

    assert share(order(500, 10), stops) == pytest.approx(0.5, abs=0.001)


def test_a_stage_that_was_cut_short_counts_what_was_never_due():
    facts = replace(simulate(order(100, 5), constant(0.01)), planned=1000)

    assert achieved(facts, 100, 10) == pytest.approx(0.5, abs=0.002)


def stated(within, late, *, fastest_ms, planned=1000):
    """Facts as k6 gives them: no due times, but the fastest response."""
    seconds = (LoadSecond(0, succeeded=within, completed=within), LoadSecond(10, succeeded=late))
    duration = {"min": fastest_ms, "p50": fastest_ms}
    return LoadFacts("k6", 1, planned, seconds, complete=True, clock="k6's", stated_ms={"duration": duration})


def test_of_k6_as_many_late_responses_count_as_arrive_while_the_fastest_takes():
    assert achieved(stated(850, 150, fastest_ms=1500), 100, 10) == 1
    assert achieved(stated(500, 500, fastest_ms=20), 100, 10) == pytest.approx(0.5, abs=0.005)
