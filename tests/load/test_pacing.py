"""A schedule keeps its average rate and its spacing, however many workers share it."""

import itertools
import statistics
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
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


LEVELS = st.one_of(st.integers(0, 3000).map(float), st.floats(0, 300).map(lambda rate: round(rate, 3)))
RAMPS = st.builds(
    pacing.RampPacer, LEVELS, LEVELS, st.sampled_from([0.0, 0.5, 1.37, 3.0]), st.sampled_from([2.0, 3.3, 5.0])
).filter(lambda ramp: ramp.rate != ramp.rate_to and (ramp.rate + ramp.rate_to) * ramp.duration >= 2)


def area_at(ramp, t_s):
    """The integral of a ramp's rate, exactly."""
    a, b, w, d, t = map(Fraction, (ramp.rate, ramp.rate_to, ramp.warmup, ramp.duration, t_s))
    if t <= w:
        return a * t
    return a * w + a * (t - w) + (b - a) / d * (t - w) ** 2 / 2


@settings(deadline=None)
@given(RAMPS)
def test_an_arrival_of_a_ramp_is_due_when_the_integral_of_its_rate_reaches_its_number(ramp):
    dues = list(ramp.arrivals())

    assert dues == sorted(dues)
    assert dues[-1] < (ramp.warmup + ramp.duration) * 1e9
    for k, due in [*enumerate(dues)][:: max(1, len(dues) // 100)]:
        before, after = (area_at(ramp, Fraction(max(0, due + ns), 10**9)) for ns in (-2, 2))
        assert before - Fraction(2, 10**6) <= k <= after + Fraction(2, 10**6)


@settings(deadline=None)
@given(RAMPS, workers, st.one_of(st.none(), st.integers(0, 100)))
def test_workers_together_send_exactly_the_whole_ramp(ramp, count, seed):
    def arrivals(**part):
        return list(ramp.arrivals(**part) if seed is None else ramp.poisson(seed, **part))

    shared = [due for i in range(count) for due in arrivals(worker=i, workers=count)]

    assert sorted(shared) == arrivals()
    if seed is None:
        assert len(shared) == ramp.total
        assert ramp.before == sum(due < ramp.warmup * 1e9 - 1 for due in shared)


def test_the_last_arrival_of_a_day_is_as_exact_as_the_first():
    ramp = pacing.RampPacer(0.0, 2000.0, 0.0, 86_400.0)
    k = ramp.total - 1

    [due] = ramp.arrivals(k)

    exact = (Decimal(k) * 2 * 86_400 / 2000).sqrt() * 10**9
    assert abs(due - exact) <= 20


def test_random_arrivals_of_a_ramp_follow_its_rate():
    ramp = pacing.RampPacer(100.0, 1100.0, 1.0, 10.0)

    dues = [due / 1e9 for due in ramp.poisson(seed=3)]

    for begin in range(1, 11):
        expected = 100 * (begin - 1) + 150
        assert abs(sum(begin <= due < begin + 1 for due in dues) - expected) < 4 * expected**0.5


@pytest.mark.parametrize(("begin", "to"), [(10.0, 1000.0), (1000.0, 10.0)])
def test_the_rate_has_passed_a_level_at_the_arrival_that_is_named(begin, to):
    ramp = pacing.RampPacer(begin, to, 1.0, 10.0)
    k = ramp.number_at(400.0)
    due_s = next(iter(ramp.arrivals(k))) / 1e9

    assert abs(begin + (to - begin) * (due_s - 1.0) / 10.0 - 400.0) < 0.2
    fast, slow = (0, ramp.total) if begin < to else (ramp.total, 0)
    assert (ramp.number_at(5.0), ramp.number_at(2000.0)) == (fast, slow)
