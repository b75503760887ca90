"""A schedule keeps its average rate and its spacing, however many workers share it."""

import itertools
import statistics

from hypothesis import given
from hypothesis import strategies as st

from runner.load import pacing

rates = st.one_of(st.integers(1, 50_000), st.floats(0.1, 1000))
workers = st.integers(1, 8)


@given(rates, workers, st.floats(0.01, 0.5))
def test_workers_together_send_exactly_the_whole_constant_schedule(rate, count, length):
    alone = list(pacing.constant(rate, length))

    shared = [due for i in range(count) for due in pacing.constant(rate, length, worker=i, workers=count)]

    assert sorted(shared) == alone
    assert len(alone) == pacing.planned(rate, length)


@given(st.integers(1, 20_000), workers, st.integers(0, 100))
def test_workers_together_send_exactly_the_whole_poisson_schedule(rate, count, seed):
    alone = list(pacing.poisson(rate, 0.05, seed))

    shared = [due for i in range(count) for due in pacing.poisson(rate, 0.05, seed, worker=i, workers=count)]

    assert sorted(shared) == alone


@given(st.integers(1, 50_000), st.integers(1, 60), st.integers(0, 20))
def test_an_integer_rate_for_whole_seconds_plans_exactly_their_product(rate, duration, warmup):
    assert pacing.planned(rate, duration, warmup) == rate * duration


@given(rates)
def test_spacing_is_even_to_the_nanosecond(rate):
    dues = [due for due, _ in zip(pacing.constant(rate, 60), range(100), strict=False)]

    gaps = [after - before for before, after in itertools.pairwise(dues)]

    assert all(abs(gap - 1e9 / rate) <= 1 for gap in gaps)


def test_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential():
    dues = list(pacing.poisson(1000, 60, seed=7))

    gaps = [after - before for before, after in itertools.pairwise(dues)]

    assert 0.98 < statistics.mean(gaps) / 1e6 < 1.02
    assert 0.97 < statistics.stdev(gaps) / 1e6 < 1.03


def test_the_same_seed_gives_the_same_arrivals_and_another_seed_others():
    assert list(pacing.poisson(100, 1, 1)) == list(pacing.poisson(100, 1, 1))
    assert list(pacing.poisson(100, 1, 1)) != list(pacing.poisson(100, 1, 2))


@given(st.integers(4001, 50_000), st.integers(1, 1_000_000), st.integers(0, 20_000_000))
def test_bunching_moves_no_arrival_later_and_none_by_a_whole_quantum(rate, quantum, measure):
    exact = list(pacing.constant(rate, 0.02))

    bunches = list(pacing.bunched(iter(exact), quantum, measure))
    bunched = [due for due, count in bunches for _ in range(count)]

    assert len({due for due, _ in bunches}) == len(bunches)
    assert all(0 <= due - shown < quantum for due, shown in zip(exact, bunched, strict=True))
    assert sum(due >= measure for due in exact) == sum(due >= measure for due in bunched)


def test_without_a_quantum_every_arrival_stays_alone_and_on_time():
    exact = list(pacing.constant(7, 3))

    assert list(pacing.bunched(iter(exact), 0, 0)) == [(due, 1) for due in exact]
