"""Requests that were dropped have the reason that the generator counted, and no other."""

import pytest
from msgspec.structs import replace

from runner.core.codes import Validity
from runner.core.judgements import StageValidity
from runner.core.load_facts import DropCauses
from runner.report.drops import left_out, phrases
from tests.report.stored_results import stored


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
                "102 were probably not sent, because their part of the generator ended",
                "231 have no known end because their part of the generator was lost",
                "6 were dropped because `max_in_flight` was reached",
            ],
        ),
        (DropCauses(no_virtual_user=5), 5, ["5 were dropped because k6 was still adding virtual users"]),
        (DropCauses(unknown_end=4), 3, ["3 have no known end because their part of the generator was lost"]),
        (
            DropCauses(cut_off=5),
            7,
            ["5 were under way when the stage ended early", "2 were dropped"],
        ),
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


def test_what_k6_left_out_is_said_beside_what_was_scheduled():
    stage = stored("single-process").configurations[0].stages[2]
    due = round((stage.target_rps or 0) * stage.window_s)
    short = replace(stage, engine="k6", requests=replace(stage.requests, scheduled=due - 3))

    assert left_out(short).startswith(f" 3 of the {due:,} requests due are missing here, because k6 fell")
    assert left_out(replace(short, engine="builtin")) == ""
    assert left_out(replace(short, requests=stage.requests)) == ""
    assert left_out(replace(short, validity=StageValidity(Validity.INVALID, ("k6 died",)))) == ""
