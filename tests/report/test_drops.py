"""Requests that were dropped have the reason that the generator counted, and no other."""

import pytest

from runner.core.load_facts import DropCauses
from runner.report.drops import phrases


@pytest.mark.parametrize(
    ("causes", "dropped", "expected"),
    [
        (DropCauses(), 545, ["545 were dropped because `max_in_flight` was reached"]),
        (
            DropCauses(too_late=545),
            545,
            ["545 were never sent because the generator fell behind its schedule"],
        ),
        (
            DropCauses(too_late=1, not_offered=102, unknown_end=231),
            340,
            [
                "1 were never sent because the generator fell behind its schedule",
                "102 were never sent because their part of the generator was lost",
                "231 have no known end because their part of the generator was lost",
                "6 were dropped because `max_in_flight` was reached",
            ],
        ),
        (DropCauses(unknown_end=4), 3, ["3 have no known end because their part of the generator was lost"]),
        (None, 7, ["7 were never sent"]),
        (DropCauses(), 0, []),
        (None, 0, []),
    ],
)
def test_each_cause_is_a_phrase_and_only_the_rest_is_due_to_the_limit(causes, dropped, expected):
    assert list(phrases(causes, dropped, "sent")) == expected


def test_users_are_started():
    (phrase,) = phrases(DropCauses(), 2, "started")

    assert phrase == "2 were never started because `max_in_flight` was reached"
