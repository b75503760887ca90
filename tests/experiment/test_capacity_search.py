"""The search finds the capacity of any monotone system, within its precision and its bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.experiment.capacity_search import Search, between, probes_needed

RATES = st.floats(0.5, 1e6)


@st.composite
def searches(draw: st.DrawFn, probes: st.SearchStrategy[int] | None = None) -> Search:
    least, start, most = sorted(draw(st.tuples(RATES, RATES, RATES)))
    blank = Search(least, most, start, draw(st.floats(0.005, 0.5)), 1)
    bound = draw(probes) if probes is not None else probes_needed(blank)
    return Search(least, most, start, blank.precision, bound)


def ended(search: Search, capacity: float) -> Search:
    """The search run against a system that holds everything up to its capacity."""
    while (rate := search.next_rate) is not None:
        search = search.after(held=rate <= capacity)
    return search


@given(searches(), st.floats(0.1, 2e6))
def test_it_finds_the_capacity_of_any_monotone_system_within_its_precision(
    search: Search, capacity: float
) -> None:
    done = ended(search, capacity)

    if capacity < search.least:
        assert (done.ending, done.held) == ("never", None)
    elif capacity >= search.most:
        assert (done.ending, done.held) == ("always", search.most)
    else:
        assert done.ending == "found"
        assert done.held is not None
        assert done.failed is not None
        assert done.held <= capacity < done.failed <= done.held * (1 + search.precision)


@given(searches(st.integers(1, 30)), st.lists(st.booleans(), min_size=30, max_size=30))
def test_whatever_the_answers_it_ends_within_its_bound_and_never_asks_twice(
    search: Search, answers: list[bool]
) -> None:
    for held in answers:
        if search.next_rate is not None:
            assert search.ending == "open"
            search = search.after(held=held)

    rates = [rate for rate, _ in search.tried]
    assert search.next_rate is None
    assert search.ending != "open"
    assert len(rates) <= search.probes
    assert len(set(rates)) == len(rates)
    assert all(search.least <= rate <= search.most for rate in rates)


@given(searches(st.integers(1, 30)), st.floats(0.1, 2e6))
def test_it_says_nothing_that_it_has_not_seen(search: Search, capacity: float) -> None:
    done = ended(search, capacity)

    assert done.held is None or done.held <= capacity
    assert done.failed is None or done.failed > capacity
    assert (done.ending == "bounded") == (done.probes < probes_needed_for(done, capacity))


def probes_needed_for(search: Search, capacity: float) -> int:
    """How many probes the same search takes when nothing bounds it."""
    free = Search(search.least, search.most, search.start, search.precision, 10_000)
    return len(ended(free, capacity).tried)


@given(RATES, RATES)
def test_a_rate_between_two_leaves_at_most_three_fifths_of_the_space(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assume(high > low * 1.001)
    middle = between(low, high)

    whole = math.log(high / low)
    assert max(math.log(high / middle), math.log(middle / low)) <= 0.6 * whole * (1 + 1e-9)


@pytest.mark.parametrize(
    ("low", "high", "middle"), [(4000, 8000, 5700), (4000, 5700, 4800), (100, 105, 102), (7, 9, 7.9)]
)
def test_rates_between_are_round_where_there_is_room(low: float, high: float, middle: float) -> None:
    assert between(low, high) == middle


def test_a_search_reads_as_ramp_and_bisection() -> None:
    search = ended(Search(200, 20_000, 2_000, 0.05, 12), 5_300)

    assert [rate for rate, _ in search.tried] == [2000, 4000, 8000, 5700, 4800, 5200, 5400]
    assert (search.held, search.failed, search.ending) == (5200, 5400, "found")


def test_a_search_that_is_over_cannot_go_on() -> None:
    with pytest.raises(ValueError, match="over"):
        ended(Search(1, 2, 1, 0.1, 1), 1).after(held=True)
