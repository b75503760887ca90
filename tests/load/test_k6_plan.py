"""k6's orders, its summary, and the facts of a stage."""

import json
import socket
from dataclasses import replace
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runner.core.endpoint import Endpoint
from runner.core.load_facts import LoadSecond
from runner.core.metrics import LATENCIES
from runner.experiment.k6_limits import UNMEASURED
from runner.load.k6.engine import k6
from runner.load.k6.facts import Ending, load_facts
from runner.load.k6.plan import Plan, plan_of, script_order
from runner.load.k6.requests import url
from runner.load.k6.summary import read_summary
from tests.load.k6_stage import order

PLAN = Plan(rps=100, warmup_s=1.0, window_s=2.0, timeout_s=10.0, ready_vus=50, max_vus=2000)


def scenario(**changes):
    stage = order(8080, **changes)
    return script_order(stage, plan_of(stage))["options"]["scenarios"]["stage"]


@pytest.mark.parametrize(
    ("rps", "rate", "unit"),
    [(4000, 4000, "1s"), (2.5, 5, "2s"), (0.1, 1, "10s"), (33.3, 333, "10s"), (2e-5, 1, "50000s")],
)
def test_a_rate_is_exact_whatever_its_fraction(rps: float, rate: int, unit: str):
    options = scenario(rps=rps, duration=86400.0)

    assert (options["rate"], options["timeUnit"]) == (rate, unit)


@given(rps=st.floats(1e-5, 1e6), warmup_s=st.floats(0, 60), window_s=st.floats(0.001, 60))
def test_warm_up_and_window_share_the_schedule(rps: float, warmup_s: float, window_s: float):
    plan = Plan(rps, warmup_s, window_s, 10.0, 50, 2000)

    assert abs(float(plan.rate) / rps - 1) < 1e-3
    assert 0 < plan.rate.denominator <= 10**9
    assert abs(plan.window_arrivals - rps * window_s) <= 1
    assert plan.warmup_arrivals + plan.window_arrivals >= rps * (warmup_s + window_s) - 1e-3


@pytest.mark.parametrize(
    ("rps", "max_in_flight", "ready", "maximum"),
    [
        (10, 2000, 50, 2000),  # at least
        (90, 2000, 180, 2000),  # one for each request until the time-out of 2 s
        (600, 2000, 500, 2000),
        (4000, 2000, 125, 2000),
        (40_000, 2000, 1000, 2000),
        (4000, 80, 80, 80),
        (10**6, 10**5, 1000, 10**5),
    ],
)
def test_virtual_users_ready_at_the_start_follow_the_rate(
    rps: float, max_in_flight: int, ready: int, maximum: int
):
    options = scenario(rps=rps, max_in_flight=max_in_flight)

    assert (options["preAllocatedVUs"], options["maxVUs"]) == (ready, maximum)


def test_requests_under_way_are_never_cut_short():
    assert scenario(timeout=10.0)["gracefulStop"] == "11000ms"


def test_bodies_are_kept_in_memory_only_if_they_are_checked():
    def response_type(**expect):
        stage = order(8080, expect=expect)
        return script_order(stage, plan_of(stage))["requests"][0]["params"]["responseType"]

    assert response_type() == "none"
    assert response_type(body_contains="x") == "text"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (Endpoint("127.0.0.1", 80), "http://127.0.0.1:80/a?b"),
        (Endpoint("::1", 8080, base_path="/api"), "http://[::1]:8080/api/a?b"),
        (Endpoint("a.example", 443, "https"), "https://a.example:443/a?b"),
    ],
)
def test_the_url_of_requests(endpoint: Endpoint, expected: str):
    assert url(endpoint, "/a?b") == expected


def test_a_header_of_the_specification_replaces_ours_whatever_its_case():
    stage = order(8080, request={"headers": {"user-agent": "me"}})

    assert script_order(stage, plan_of(stage))["requests"][0]["headers"] == {
        "Accept": ["*/*"],
        "user-agent": ["me"],
    }


def summary(**changed):
    whole = {
        "began_ms": 1.0,
        "succeeded": 200,
        "late": 0,
        "failures": {"reset": 0},
        "statuses": {"302": 0},
        "dropped": 0,
        "warmup_sent": 100,
        "virtual_users": 50,
        "warmup_in_window": 0,
        "duration": None,
        "connect": None,
        "tls": None,
    }
    return json.dumps(whole | changed)


@pytest.mark.parametrize(
    ("changed", "dropped"),
    [
        ({}, 0),
        ({"succeeded": 150, "dropped": 50}, 50),
        ({"warmup_sent": 60, "dropped": 40}, 0),
        ({"warmup_sent": 60, "succeeded": 150, "dropped": 90}, 50),
        ({"succeeded": 150, "dropped": 57}, 50),  # 7 of them after the window's end
        ({"succeeded": 150, "failures": {"reset": 20}, "dropped": 30}, 30),
        ({"succeeded": 150, "dropped": 10}, 10),  # k6 is behind by 40
        ({"succeeded": 203, "dropped": 0}, 0),
    ],
)
def test_drops_are_split_between_warm_up_and_window(changed: dict, dropped: int):
    assert read_summary(summary(**changed), PLAN).dropped == dropped


def test_responses_in_the_window_include_the_warm_ups_last_but_not_late_ones():
    assert read_summary(summary(late=30, warmup_in_window=12), PLAN).completed == 200 - 30 + 12


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"succeeded": "many"}', summary(duration={})])
def test_text_that_is_no_summary_is_refused(text: str):
    with pytest.raises(ValueError):
        read_summary(text, PLAN)


def facts(scheduled: int, **ending):
    fields = {"lost": None, "totals": None, "began_late_ms": None, "silence_s": 1.0} | ending
    return load_facts(PLAN, "1.1.0", [LoadSecond(0, scheduled, scheduled, scheduled)], Ending(**fields))


def test_the_version_of_k6_is_a_fact():
    assert facts(200).engine_version == "1.1.0"


def test_a_stage_that_k6_offered_in_full_is_complete():
    whole = facts(200)

    assert whole.complete
    assert whole.lost_workers == ()
    assert not any("fell behind" in note for note in whole.notes)


def test_what_the_specification_refuses_is_what_k6_does_not_report():
    totals = read_summary(summary(), PLAN)
    stated = facts(200, totals=totals).stated_ms

    assert {kind.name for kind in LATENCIES if stated.get(kind.name) is None} == UNMEASURED


@pytest.mark.parametrize(("scheduled", "invalid"), [(198, False), (197, True)])
def test_falling_behind_is_noted_and_beyond_one_percent_makes_a_stage_invalid(scheduled: int, invalid: bool):
    behind = facts(scheduled)
    sentences = behind.lost_workers if invalid else behind.notes

    assert any(f"{200 - scheduled} of 200 planned requests" in sentence for sentence in sentences)
    assert bool(behind.lost_workers) == invalid
    assert behind.complete


def test_after_k6_died_one_sentence_states_how_much_is_unknown():
    dead = facts(50, lost="k6 was ended by SIGKILL", silence_s=9.0)

    assert dead.lost_workers == (
        "k6 was ended by SIGKILL; nothing is known about 150 of 200 planned requests",
    )
    assert not dead.complete


def test_an_address_that_was_checked_is_pinned():
    stage = replace(order(80), endpoint=Endpoint("app.example", 80, address="127.0.0.1"))

    assert script_order(stage, plan_of(stage))["options"]["hosts"] == {"app.example": "127.0.0.1"}
    assert "hosts" not in script_order(order(80), PLAN)["options"]


def users(level, **changes):
    stage = order(8080, rps=None, users=level, **changes)
    plan = plan_of(stage)
    return plan, script_order(stage, plan)


def test_users_are_virtual_users_that_exist_from_the_start():
    plan, data = users(7, warmup=1.0, duration=4.0)

    scenario = data["options"]["scenarios"]["stage"]
    assert (scenario["executor"], scenario["vus"], scenario["duration"]) == ("constant-vus", 7, "5000ms")
    assert "maxVUs" not in scenario
    assert (plan.warmup_arrivals, plan.window_arrivals) == (0, 0)
    assert data["schedule"]["users"]
    assert data["schedule"]["grace_ms"] == 0


@pytest.mark.parametrize(("begin", "to"), [(2, 9), (9, 2)])
def test_a_ramp_of_users_begins_after_the_warm_up(begin, to):
    plan, data = users({"from": begin, "to": to}, warmup=1.0, duration=4.0)

    scenario = data["options"]["scenarios"]["stage"]
    assert (scenario["executor"], scenario["startVUs"]) == ("ramping-vus", begin)
    assert [(one["target"], one["duration"]) for one in scenario["stages"]] == [
        (begin, "1000ms"),
        (to, "4000ms"),
    ]
    assert plan.max_vus == 9


async def test_users_who_are_refused_do_not_try_again_at_once():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # without listen, connections are refused
        stage = order(closed.getsockname()[1], rps=None, users=2, duration=1.0)
        async with trio.open_nursery() as nursery:
            seconds = []
            await nursery.start(partial(k6, stage, on_spawn=lambda _: None, on_second=seconds.append))

    failed = sum(second.failures["connect_refused"] for second in seconds)
    assert 2 <= failed <= 2 * 110
