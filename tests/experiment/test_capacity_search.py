"""The search finds the capacity of any monotone system, within its precision and its number of probes."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.experiment.capacity_search import Search, between

RATES = st.floats(0.5, 1e6)


def probes_needed(search: Search) -> int:
    """Return how many probes are always enough: doublings or halvings first, then bisections.

    A bisection leaves at most three fifths of the interval, see `between`.
    """
    up = math.ceil(math.log2(search.highest / search.start))
    down = math.ceil(math.log2(search.start / search.lowest))
    ratio = math.log(2) / math.log1p(search.precision)
    bisections = math.ceil(math.log(ratio) / -math.log(0.6)) if ratio > 1 else 0
    return 1 + max(up, down) + bisections


@st.composite
def searches(draw: st.DrawFn, probes: st.SearchStrategy[int] | None = None) -> Search:
    low, start, high = sorted(draw(st.tuples(RATES, RATES, RATES)))
    blank = Search(low, high, start, draw(st.floats(0.005, 0.5)), 1)
    bound = draw(probes) if probes is not None else probes_needed(blank)
    return Search(low, high, start, blank.precision, bound)


def ended(search: Search, capacity: float) -> Search:
    """Return the search after it ran against a system that sustains all rates up to its capacity."""
    while (rate := search.next_rate) is not None:
        search = search.after(sustained=rate <= capacity)
    return search


@given(searches(), st.floats(0.1, 2e6))
def test_the_search_finds_the_capacity_of_any_monotone_system_within_its_precision(
    search: Search, capacity: float
) -> None:
    done = ended(search, capacity)

    if capacity < search.lowest:
        assert (done.ending, done.sustained) == ("never", None)
    elif capacity >= search.highest:
        assert (done.ending, done.sustained) == ("always", search.highest)
    else:
        assert done.ending == "found"
        assert done.sustained is not None
        assert done.failed is not None
        assert done.sustained <= capacity < done.failed <= done.sustained * (1 + search.precision)


@given(searches(st.integers(1, 30)), st.lists(st.booleans(), min_size=30, max_size=30))
def test_the_search_ends_within_its_probes_and_tries_no_rate_twice(
    search: Search, outcomes: list[bool]
) -> None:
    for sustained in outcomes:
        if search.next_rate is not None:
            assert search.ending == "open"
            search = search.after(sustained=sustained)

    rates = [rate for rate, _ in search.tried]
    assert search.next_rate is None
    assert search.ending != "open"
    assert len(rates) <= search.probes
    assert len(set(rates)) == len(rates)
    assert all(search.lowest <= rate <= search.highest for rate in rates)


@given(searches(st.integers(1, 30)), st.floats(0.1, 2e6))
def test_the_search_reports_only_what_it_measured(search: Search, capacity: float) -> None:
    done = ended(search, capacity)

    assert done.sustained is None or done.sustained <= capacity
    assert done.failed is None or done.failed > capacity
    assert (done.ending == "bounded") == (done.probes < probes_needed_for(done, capacity))


def probes_needed_for(search: Search, capacity: float) -> int:
    """Return how many probes the same search needs without a limit."""
    free = Search(search.lowest, search.highest, search.start, search.precision, 10_000)
    return len(ended(free, capacity).tried)


@given(RATES, RATES)
def test_a_rate_between_two_leaves_at_most_three_fifths_of_the_interval(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assume(high > low * 1.001)
    middle = between(low, high)

    whole = math.log(high / low)
    assert max(math.log(high / middle), math.log(middle / low)) <= 0.6 * whole * (1 + 1e-9)


@pytest.mark.parametrize(
    ("low", "high", "middle"), [(4000, 8000, 5700), (4000, 5700, 4800), (100, 105, 102), (7, 9, 7.9)]
)
def test_rates_between_two_are_rounded_if_the_interval_permits(
    low: float, high: float, middle: float
) -> None:
    assert between(low, high) == middle


def test_a_search_ramps_up_and_then_bisects() -> None:
    search = ended(Search(200, 20_000, 2_000, 0.05, 12), 5_300)

    assert [rate for rate, _ in search.tried] == [2000, 4000, 8000, 5700, 4800, 5200, 5400]
    assert (search.sustained, search.failed, search.ending) == (5200, 5400, "found")


def test_a_search_that_is_over_cannot_continue() -> None:
    with pytest.raises(ValueError, match="over"):
        ended(Search(1, 2, 1, 0.1, 1), 1).after(sustained=True)
