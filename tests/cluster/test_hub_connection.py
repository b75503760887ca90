"""The runner trusts neither its hub nor the agents behind it."""

from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from runner.cluster.hub_connection import HubConnection
from runner.cluster.lines import LineTooLong
from runner.cluster.messages import (
    RUNNER_MESSAGE,
    AgentGone,
    AgentJoined,
    DropAgent,
    FromAgent,
    HubFailed,
    HubPing,
    Refused,
)
from runner.cluster.remote_worker import RemoteWorker
from runner.cluster.wire import encode
from tests.cluster.raw_agent import INFO


class FalseChannel:
    """What a hub says and is told."""

    address = "lp-hub"
    node = "node-1"

    def __init__(self):
        self.say, self._said = trio.open_memory_channel(100)
        self.told = []

    async def send_line(self, line):
        await trio.lowlevel.checkpoint()
        message = RUNNER_MESSAGE.decode(line)
        if not isinstance(message, HubPing):
            self.told.append(message)

    async def receive_line(self):
        try:
            line = await self._said.receive()
        except trio.EndOfChannel:
            return None
        if isinstance(line, Exception):
            raise line
        return line

    def last_words(self):
        return ("Traceback", "MemoryError")


@asynccontextmanager
async def connection():
    """Yield what a hub says, and the connection to it, with two agents."""
    channel = FalseChannel()
    hub = HubConnection(channel)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.follow)
        for node in ("node-1", "node-2"):
            channel.say.send_nowait(encode(AgentJoined(node=node, info=INFO, address="10.0.0.1")))
        await hub.wait_until(lambda: len(hub.agents) == 2 or None)
        yield channel, hub
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"garbage", "it sent an unreadable message"),
        (b'{"is":"from","node":"n","report":' + b"[" * 90_000, "it sent an unreadable message"),
        (b'{"is":"joined","node":"x"}', "it sent an unreadable message"),
        (b'{"is":"pong","id":1,"at_ns":1e30}', "it sent an unreadable message"),
        (LineTooLong("a line of more than 5 bytes"), "it sent a line of more than 5 bytes"),
        (trio.BrokenResourceError(), "its connection broke"),
        (encode(HubFailed(reason="Address already in use")), "Address already in use"),
    ],
)
async def test_a_hub_that_sends_something_else_is_lost_with_all_agents(line, reason):
    async with connection() as (channel, hub):
        channel.say.send_nowait(line)
        assert await hub.wait_until(lambda: hub.hub_lost or None) == f"the hub on node-1 was lost: {reason}"
        assert {agent.reason for agent in hub.lost.values()} == {hub.hub_lost}
        with pytest.raises(trio.BrokenResourceError):
            await hub.round_trip()


async def test_the_last_words_of_a_hub_that_is_gone_are_quoted():
    async with connection() as (channel, hub):
        channel.say.close()
        lost = await hub.wait_until(lambda: hub.hub_lost or None)
        assert lost == "the hub on node-1 was lost: its connection ended: MemoryError"


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (b'{"is":"nothing known"}', "it sent an unreadable report"),
        (b'{"is":"line","process":-1,"line":1}', "it sent an unreadable report"),
        (b"[1]", "it sent an unreadable report"),
        (
            b'{"is":"line","process":7,"line":1}',
            "it sent what the runner cannot take: a report about node-2",
        ),
    ],
)
async def test_an_agent_that_reports_what_it_must_not_is_dropped_alone(report, reason):
    async with connection() as (channel, hub):
        hub.parts.add(RemoteWorker("node-2", 7, hub.order, lambda: None))
        channel.say.send_nowait(encode(FromAgent(node="node-1", report=msgspec.Raw(report))))
        await hub.wait_until(lambda: hub.lost or None)
        await trio.testing.wait_all_tasks_blocked()

        assert {node: agent.reason for node, agent in hub.lost.items()} == {"node-1": reason}
        assert channel.told == [DropAgent(node="node-1", reason=reason)]
        channel.say.send_nowait(encode(AgentGone(node="node-1", reason="another")))
        await trio.testing.wait_all_tasks_blocked()
        assert hub.lost["node-1"].reason == reason
        assert hub.hub_lost == ""


async def test_refused_connections_are_counted():
    async with connection() as (channel, hub):
        for count in (3, 4):
            channel.say.send_nowait(encode(Refused(count=count, address="10.0.0.9", reason="no proof")))
        await trio.testing.wait_all_tasks_blocked()

        assert hub.refused == Refused(count=7, address="10.0.0.9", reason="no proof")
