"""The changes that a list shows beside a run."""

import pytest
from msgspec.structs import replace

from runner.serve.listing import row
from runner.store.run_summary import RunState, RunSummary

BEFORE = RunSummary("before", ("", 0, 0), RunState.COMPLETE, rate=800.0, is_sustained=True, p95_ms=200.0)


@pytest.mark.parametrize(("rate", "change"), [(100.0, None), (790.0, -0.75)])
def test_p95_is_compared_only_at_the_same_rate(rate, change):
    head = replace(BEFORE, rate=rate, p95_ms=50.0)

    assert row(head, BEFORE).p95_change == change
    assert row(head, BEFORE).rate_change == (rate - 800) / 800


@pytest.mark.parametrize(
    ("validity", "is_doubtful"), [("valid", False), ("suspect", True), ("invalid", True)]
)
def test_a_change_is_better_or_worse_only_where_both_runs_are_valid(validity, is_doubtful):
    valid, other = replace(BEFORE, validity="valid"), replace(BEFORE, validity=validity)

    assert row(valid, other).is_doubtful is is_doubtful
    assert row(other, valid).is_doubtful is is_doubtful


def test_p95_beside_another_kind_of_rate_is_not_compared():
    assert row(replace(BEFORE, is_sustained=False, p95_ms=50.0), BEFORE).p95_change is None


def test_a_change_against_a_run_of_another_specification_is_neither_better_nor_worse():
    same, other = replace(BEFORE, specification="a"), replace(BEFORE, specification="b")

    assert (row(same, other).is_of_other_specification, row(same, other).is_doubtful) == (True, True)
    assert not row(same, same).is_of_other_specification
    assert not row(same, BEFORE).is_of_other_specification  # that of the other one is not known
