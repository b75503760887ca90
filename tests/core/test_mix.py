from __future__ import annotations

from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.mix import earlier_uses_of_users, order

WEIGHTS = st.lists(
    st.one_of(st.integers(1, 1000), st.floats(0.01, 100).map(lambda weight: round(weight, 2))),
    min_size=1,
    max_size=12,
)


@given(WEIGHTS)
@example([60, 25, 10, 5])
@example([1, 1, 1])
@example([999, 1])
@example([0.1, 0.2, 0.7])
def test_after_any_number_of_arrivals_each_count_is_within_one_of_its_share(weights):
    exact = [round(Fraction(str(weight)) * 100) for weight in weights]  # they have at most two decimal places
    total = sum(exact)
    counts = [0] * len(weights)

    for n, index in enumerate(islice(order(weights), 3000), start=1):
        counts[index] += 1
        for count, weight in zip(counts, exact, strict=True):
            assert n * weight // total <= count <= -(-n * weight // total)


@pytest.mark.parametrize("weights", [[60, 25, 10, 5], [7919, 104_729, 3]])
def test_workers_together_send_the_same_requests_as_one(weights):
    whole = list(islice(order(weights), 1200))

    for workers in (2, 3, 4):
        parts = [list(islice(order(weights), worker, 1200, workers)) for worker in range(workers)]
        assert [parts[k % workers][k // workers] for k in range(1200)] == whole


def test_only_proportions_matter():
    assert list(islice(order([3, 1]), 40)) == list(islice(order([0.75, 0.25]), 40))


def test_the_order_spreads_each_request_evenly():
    assert list(islice(order([2, 1, 1]), 8)) == [0, 1, 0, 2, 0, 1, 0, 2] or (
        list(islice(order([2, 1, 1]), 8)).count(0) == 4
    )


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(1, 7), st.data())
def test_the_uses_of_users_are_counted_as_they_come(weights, most, data):
    using = data.draw(st.sets(st.integers(0, len(weights) - 1), min_size=1))
    chosen = list(islice(order(weights), 60 + most))
    sent = [chosen[n + user] in using for n in range(60) for user in range(most)]
    rank = earlier_uses_of_users(weights, using, most)

    ranks = [rank(k) for k in range(len(sent))]
    if len(using) == len(weights):
        assert ranks == list(range(len(sent)))
    else:
        assert ranks == [sum(sent[:k]) for k in range(len(sent))]
