"""Processes of an agent notice that it is silent, and those of no agent watch none."""

import time

import pytest

from runner.cluster.heartbeat import VARIABLE, AgentWatch, Heartbeat


@pytest.fixture
def heartbeat():
    heartbeat = Heartbeat()
    yield heartbeat
    heartbeat.close()


def test_an_agent_that_beats_is_not_silent_and_one_that_stops_is(heartbeat):
    watch = AgentWatch(heartbeat.fd, limit_s=0.2)
    for _ in range(20):
        heartbeat.beat()
        time.sleep(0.02)
        assert not watch.is_silent()

    looks = 0
    while not watch.is_silent():
        looks += 1
        time.sleep(0.02)
    assert looks > 1


def test_a_process_that_did_not_run_itself_does_not_call_its_agent_silent(heartbeat, monkeypatch):
    watch = AgentWatch(heartbeat.fd, limit_s=3)
    stopped = time.monotonic_ns() + 60 * 10**9

    monkeypatch.setattr(time, "monotonic_ns", lambda: stopped)

    assert not watch.is_silent()


def test_a_process_that_no_agent_started_watches_none(heartbeat):
    assert AgentWatch.of({}) is None
    assert AgentWatch.of({VARIABLE: str(heartbeat.fd)}) is not None
