"""Shares of unequal nodes: whole workers, close to the proportions, and every node takes part."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.node_shares import node_of_each_worker

CAPACITIES = st.dictionaries(
    st.integers(1, 12).map("node-{}".format), st.floats(0.1, 1e6), min_size=1, max_size=8
)


@pytest.mark.parametrize(
    ("capacities", "expected"),
    [
        ({"a": 40_000}, ["a"]),
        ({"a": 1, "b": 1}, ["a", "b"]),
        ({"a": 40_000, "b": 34_000}, ["a", "b"]),
        ({"a": 2, "b": 1}, ["a", "b", "a"]),
        ({"a": 3, "b": 1}, ["a", "a", "b", "a"]),
    ],
)
def test_a_node_twice_as_strong_gets_two_workers_and_measured_noise_changes_nothing(capacities, expected):
    assert node_of_each_worker(capacities, at_least=1) == expected


def test_a_high_rate_gets_more_workers_in_the_same_proportion():
    assert Counter(node_of_each_worker({"a": 2, "b": 1}, at_least=4)) == {"a": 4, "b": 2}


def test_each_address_gets_equally_many_workers():
    assert len(node_of_each_worker({"a": 2, "b": 1}, at_least=1, multiple_of=2)) == 6


@given(CAPACITIES, st.integers(1, 40), st.integers(1, 6))
def test_every_node_takes_part_and_none_is_asked_for_much_more_than_it_can(capacities, at_least, multiple):
    nodes = node_of_each_worker(capacities, at_least=at_least, multiple_of=multiple)

    counts = Counter(nodes)
    assert counts.keys() == capacities.keys()
    assert len(nodes) >= at_least
    assert len(nodes) % multiple == 0
    comparable = min(capacities.values()) >= max(capacities.values()) / 8
    if comparable:
        for node, count in counts.items():
            assert count / len(nodes) <= 1.3 * capacities[node] / sum(capacities.values())
