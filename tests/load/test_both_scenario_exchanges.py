"""The exchange of scenarios in Python and its compiled twin send and count the same."""

import contextlib
import os
import socket
import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.load import scenario_loop
from runner.load.checks import CheckOrder
from runner.load.merge import sum_of
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_loop import scenario_exchange
from runner.load.scenario_order import (
    AllowedHost,
    ExtractOrder,
    PauseStep,
    RepeatStep,
    ScenarioOrder,
    WorkerScenario,
)
from runner.load.scenario_part import request_steps
from tests.load.orders import order
from tests.load.scenario_stage import MS, Steps, offered
from tests.load.test_both_exchanges import BEHAVIOURS, UNTIMELY, until
from tests.load.whole_timeline import WholeTimeline
from tests.servers.scripted import scripted

ANSWERS = sorted(set(BEHAVIOURS) - UNTIMELY)
HOSTS = (AllowedHost("other.example", int(socket.AF_INET), "127.0.0.1"),)


class Server:
    """Behaves towards each request by its place, and notes what it received."""

    def __init__(self, behaviours, known) -> None:
        self.behaviours, self._known, self.received, self.handled = behaviours, known, [], 0
        self._lock = threading.Lock()

    def __call__(self, client, got) -> None:
        with self._lock:
            behaviour = self.behaviours[len(self.received) % len(self.behaviours)]
            self.received.append(got)
        try:
            self._known[behaviour](client)
        finally:
            with self._lock:
                self.handled += 1


def visit(steps: Steps):
    """Log in, go on with the token and the cookies, twice; a response of each step may be of any kind."""
    token = ExtractOrder("token", json="$.token", optional=True, default=("none",))
    return (
        steps.send("/login", token, method="POST", body="user=guest"),
        steps.send("/s/${token:path}", headers="Authorization: Bearer ${token:header}\r\n"),
        PauseStep(1, MS, MS),
        RepeatStep(
            2,
            (
                steps.send("/s/fixed"),
                steps.send("/s/own", headers="Cookie: own=1\r\n", own_cookies=True),
                steps.send("/json", method="PUT", body='{"t": 1}', headers="X-T: ${token:header}\r\n"),
            ),
        ),
        steps.send("/checked", checks=CheckOrder(statuses=(200, 404), contains=(b"token",))),
    )


def offer(kind, behaviours, users, *, steps_of=visit, known=BEHAVIOURS, **changes):
    """Let users go through the scenario one after the other; returns all that is counted, without times."""
    steps, server = Steps(), Server(behaviours, known)
    scenario = WorkerScenario("visit", 1.0, steps_of(steps))
    with scripted(server) as port:
        described = ScenarioOrder((scenario,), "http", "127.0.0.1", port, hosts=HOSTS)
        stage = order(port, requests=tuple(steps.requests), scenarios=described, duration=60.0, **changes)
        timeline = WholeTimeline(time.time_ns(), 0, 60.0, lambda _: None, len(steps.requests), 1)
        with contextlib.closing(kind(stage, timeline)) as exchange:
            for _ in range(users):
                exchange.send_due(time.time_ns(), 1, True)
                until(
                    lambda: exchange.in_flight == 0 and server.handled == len(server.received),
                    lambda: (exchange.poll(0.002), exchange.follow(time.time_ns())),
                )
                exchange.poll(0)  # what the server did behind its response
            exchange.drop_due(1, True)
            received = [got.replace(b":%d" % port, b":PORT") for got in server.received]
            counted = counts(exchange, timeline, list(request_steps(scenario.steps)))
            samples = {
                key: str(counted[key]).replace(f":{port}", ":PORT") for key in counted if "samples" in key
            }
            return counted | samples, received


def counts(exchange, timeline, steps):
    exchange.hand_over()
    names = ("opened", "closed_by_server", "unasked", "resent", "stale", "faults", "requests_in_flight")
    total = {name: getattr(exchange, name) for name in names}
    total["under way"] = list(exchange.users_in_flight)
    second = timeline.current
    for index, tally in enumerate((*second.parts, *second.scenarios)):
        for name in (
            "scheduled", "sent", "succeeded", "completed", "dropped", "failures", "statuses", "samples",
        ):  # fmt: skip
            total[index, name] = getattr(tally, name)
        for name in ("response_time", "connect", "dispatch_delay"):
            total[index, name] = sum_of([getattr(tally, name).to_wire()]).count
        whole, durations, first_bytes = (
            sum_of([latency.to_wire()]).count for latency in (tally.whole, tally.duration, tally.first_byte)
        )
        total[index, "durations"], total[index, "first bytes"] = whole + durations, whole + first_bytes
    assert len(second.parts) == len(steps)
    return total


@pytest.fixture(scope="module")
def compiled():
    kind = scenario_exchange()
    if kind is ScenarioExchange:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastscenarios was not built")
    return kind


@pytest.fixture(scope="module")
def plain(compiled):
    """The exchanges of scenarios that lead nowhere else."""
    return ScenarioExchange, compiled


def compared(kinds, behaviours, users, **changes):
    python, compiled = kinds
    expected, received = offer(python, behaviours, users, **changes)
    assert offer(compiled, behaviours, users, **changes) == (expected, received)
    assert received
    return expected


@settings(max_examples=40, deadline=None)
@given(behaviours=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=12), new=st.booleans())
def test_users_meet_any_responses(plain, behaviours, new):
    counted = compared(plain, behaviours, 2, new_connections=new)
    last = max(key[0] for key in counted if isinstance(key, tuple))
    ended = counted[last, "succeeded"] + sum(counted[last, "failures"].values())
    assert (counted[last, "sent"], counted[last, "dropped"], ended) == (2, 1, 2)


@pytest.mark.parametrize("behaviour", ANSWERS)
def test_every_step_meets_the_same_response(plain, behaviour):
    compared(plain, [behaviour], 2)


@pytest.mark.parametrize("behaviour", ["token", "cookie", "cookies", "cookie that has expired"])
def test_users_with_usual_responses_succeed_with_their_cookies(plain, behaviour):
    counted = compared(plain, ["cookie", behaviour], 3)
    last = max(key[0] for key in counted if isinstance(key, tuple))
    assert counted[last, "succeeded"] == 3
    assert counted["opened"] == 1


def by_path(client, got) -> None:
    """Behave as the path of the request says."""
    name = got.split(b" ", 2)[1].decode().removeprefix("/").replace("%20", " ")
    if name == "head":
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: seen=1; Path=/\r\n\r\n")
    else:
        BEHAVIOURS[name](client)


def offer_at_once(kind, monkeypatch):
    """Let two users for each behaviour go through their scenarios at the same time."""
    monkeypatch.setattr(scenario_loop, "scenario_exchange", lambda: kind)
    steps, received = Steps(), Counter()

    def note(client, got) -> None:
        received[got] += 1
        by_path(client, got)

    def user(behaviour):
        path = "/" + behaviour.replace(" ", "%20")
        token = ExtractOrder("token", json="$.token", optional=True, default=("none",))
        sent = [steps.send("/cookie", token), steps.send(path), steps.send("/head", method="HEAD")]
        steps.requests[-1] = replace(steps.requests[-1], head=True)
        body = {"method": "PUT", "body": "b" * 3000, "headers": "X-T: ${token:header}\r\n"}
        return WorkerScenario(behaviour, 1.0, (*sent, PauseStep(1, 0, 2 * MS), steps.send(path, **body)))

    scenarios = [user(behaviour) for behaviour in ANSWERS]
    with scripted(note) as port:
        outcome = offered(port, scenarios, steps, rate=20.0 * len(ANSWERS), max_in_flight=200, timeout=30.0)
    samples = sorted((one.failure, one.status, one.failed_checks) for one in outcome.samples)
    return outcome.users, outcome.parts, received, samples


def test_users_under_way_at_the_same_time_do_not_get_in_each_others_way(compiled, monkeypatch):
    expected = offer_at_once(ScenarioExchange, monkeypatch)
    assert offer_at_once(compiled, monkeypatch) == expected
    users, _, received, _ = expected
    assert {one["sent"] for one in users.values()} == {2}
    assert users["whole"]["succeeded"] == users["token"]["succeeded"] == 2
    assert any(got.startswith(b"PUT") and b"Cookie: sid=1; seen=1" in got for got in received)
