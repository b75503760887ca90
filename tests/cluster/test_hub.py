"""A hub admits who knows the secret, relays, and tells the runner exactly why an agent is gone."""

import errno
import os
import subprocess
import sys

import msgspec
import pytest
import trio

from runner.cluster import hub_agent, hub_door
from runner.cluster.authentication import Side
from runner.cluster.messages import (
    HUB_TO_AGENT,
    AgentJoined,
    ClocksMeasured,
    Down,
    DropAgent,
    FromAgent,
    HubPing,
    HubPong,
    MeasureClocks,
    Refused,
    ToAgent,
    Welcome,
)
from runner.core.units import NS_PER_S
from tests.cluster.raw_agent import INFO, report, running_hub


async def test_an_agent_that_knows_the_secret_joins_and_gets_the_hubs_proof():
    async with running_hub() as runner:
        agent = await runner.agent()
        joined = await runner.receive(AgentJoined)

    assert (joined.node, joined.info, joined.address) == ("node-1", INFO, "127.0.0.1")
    assert agent.admission == Welcome(proof=agent.hub_proof)


@pytest.mark.parametrize(
    "wrong",
    [{"secret": bytes(32)}, {"run_id": "run-2"}, {"side": Side.HUB}],
    ids=["another secret", "another run", "the proof of a hub"],
)
async def test_who_does_not_know_the_secret_is_refused_without_an_answer(wrong):
    async with running_hub() as runner:
        agent = await runner.agent(**wrong)
        refused = await runner.receive(Refused)

    assert agent.admission is None
    assert (refused.count, refused.address) == (1, "127.0.0.1")
    assert refused.reason == "it does not know the secret of this run"


async def test_a_proof_is_worth_nothing_on_another_connection():
    async with running_hub() as runner:
        sent = []
        first = await runner.connection()
        original, first.send = first.send, lambda data: _keep(sent, original, data)
        await first.join()
        await runner.receive(AgentJoined)
        second = await runner.connection()
        await second.reader.line()
        await second.send(sent[0].replace(b"node-1", b"node-2"))
        assert await second.ended()
        third = await runner.connection()
        await third.reader.line()
        await third.send(sent[0])
        assert await third.ended()


async def _keep(sent, send, data):
    sent.append(data)
    await send(data)


@pytest.mark.parametrize(
    ("node", "reason"),
    [("node-9", "no agent is expected on 'node-9'"), ("node-1", "the agent on 'node-1' has joined already")],
)
async def test_an_agent_of_a_wrong_node_is_told_why_it_is_not_admitted(node, reason):
    async with running_hub() as runner:
        await runner.agent()
        second = await runner.agent(node)

    assert second.admission.reason == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", "it sent no readable greeting"),
        (b"x" * 20_000, "it sent no readable greeting"),
        (b"\x16\x03\x01\n", "it sent no readable greeting"),
        (b'{"is":"up","report":{}}\n', "it sent no readable greeting"),
    ],
    ids=["http", "a long line", "tls", "a report"],
)
async def test_strangers_are_refused(data, reason):
    async with running_hub() as runner:
        stranger = await runner.connection()
        await stranger.send(data)
        assert await stranger.ended()
        assert (await runner.receive(Refused)).reason == reason
        agent = await runner.agent()
        assert isinstance(agent.admission, Welcome)


async def test_a_spare_attempt_of_an_agent_is_no_stranger():
    async with running_hub() as runner:
        spare = await runner.connection()
        await spare.stream.aclose()
        stranger = await runner.connection()
        await stranger.send(b"x\n")
        assert await stranger.ended()
        assert (await runner.receive(Refused)).count == 1


async def test_who_says_nothing_is_refused_after_a_time(monkeypatch):
    monkeypatch.setattr(hub_door, "PROVE_WITHIN_S", 0.1)
    async with running_hub() as runner:
        silent = await runner.connection()
        assert await silent.ended()
        assert "it did not prove within" in (await runner.receive(Refused)).reason


async def test_only_so_many_strangers_wait_at_once(monkeypatch):
    monkeypatch.setattr(hub_door, "MOST_UNPROVEN", 3)
    async with running_hub() as runner:
        waiting = [await runner.connection() for _ in range(3)]
        for agent in waiting:
            await agent.reader.line()
        fourth = await runner.connection()
        assert await fourth.ended()
        assert "3 others had not proved" in (await runner.receive(Refused)).reason


async def test_reports_and_orders_are_passed_on_as_they_are():
    async with running_hub() as runner:
        agent = await runner.agent()
        await runner.receive(AgentJoined)
        await runner.send(ToAgent(node="node-7", order=msgspec.Raw(b'{"for":"nobody"}')))
        await runner.send(ToAgent(node="node-1", order=msgspec.Raw(b'{"any":["thing",1.50]}')))
        message = HUB_TO_AGENT.decode(await agent.reader.line())
        while not isinstance(message, Down):
            message = HUB_TO_AGENT.decode(await agent.reader.line())
        assert bytes(message.order) == b'{"any":["thing",1.50]}'
        await agent.send(b'{"is":"up","report":{"x":[1.50,"\\u00e4"]}}\n')
        passed = await runner.receive(FromAgent)

    assert (passed.node, bytes(passed.report)) == ("node-1", b'{"x":[1.50,"\\u00e4"]}')


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"garbage\n", "it sent an unreadable message"),
        (b'{"is":"pong","id":-1,"at_ns":1}\n', "it sent an unreadable message"),
        (b'{"is":"pong","id":1,"at_ns":9999999999999999999}\n', "it sent an unreadable message"),
        (b'{"is":"up","report":{"open":[}\n', "it sent an unreadable message"),
        (b"\xff\xfe\n", "it sent an unreadable message"),
        (b'{"is":"up","report":' + b"[" * 90_000 + b"]" * 90_000 + b"}\n", "it sent an unreadable message"),
    ],
    ids=["words", "negative", "too late", "brackets", "no UTF-8", "nested"],
)
async def test_an_agent_that_sends_garbage_is_dropped(data, reason):
    async with running_hub() as runner:
        agent = await runner.agent()
        other = await runner.agent("node-2")
        await agent.send(data)
        assert await runner.gone() == reason
        assert await agent.ended()
        await other.send(report({}))
        assert (await runner.receive(FromAgent)).node == "node-2"


async def test_a_connection_that_ends_and_one_that_ends_in_a_message_differ():
    async with running_hub() as runner:
        first = await runner.agent()
        await first.stream.aclose()
        assert await runner.gone() == "its connection ended"
        second = await runner.agent("node-2")
        await second.send(b'{"is":"up","rep')
        await second.stream.aclose()
        assert await runner.gone("node-2") == "its connection ended in the middle of a message"


async def test_an_agent_that_sends_an_endless_line_is_dropped(monkeypatch):
    monkeypatch.setattr(hub_door, "MAX_MESSAGE", 100_000)
    async with running_hub() as runner:
        agent = await runner.agent()
        await agent.send_for_ever(b"x" * 10_000)
        assert await runner.gone() == "it sent a line of more than 100,000 bytes"


async def test_an_agent_that_floods_is_dropped(monkeypatch):
    monkeypatch.setattr(hub_agent, "FLOOD", 2**20)
    async with running_hub() as runner, trio.open_nursery() as nursery:
        agent = await runner.agent()
        nursery.start_soon(agent.send_for_ever, report("x" * 1_100_000))
        assert await runner.gone() == "it sent more than 1 MiB within a second"


async def test_a_silent_agent_is_dropped_and_one_that_answers_pings_is_not():
    async with running_hub(silent_s=1.5) as runner, trio.open_nursery() as nursery:
        answering = await runner.agent("node-2")
        nursery.start_soon(answering.answer_pings)
        silent = await runner.agent()
        await silent.send(b'{"is":')
        assert await runner.gone() == "silent for 1.5 s"
        await answering.send(report({}))
        assert (await runner.receive(FromAgent)).node == "node-2"
        nursery.cancel_scope.cancel()


async def test_an_agent_that_sends_without_ever_answering_a_ping_is_dropped(monkeypatch):
    monkeypatch.setattr(hub_agent, "_ANSWER_WITHIN_S", 1)
    async with running_hub(silent_s=1) as runner, trio.open_nursery() as nursery:
        agent = await runner.agent()
        nursery.start_soon(agent.send_for_ever, b" ", 0.05)
        assert await runner.gone() == "answered no ping for 1 s"
        nursery.cancel_scope.cancel()


async def test_an_agent_that_does_not_read_is_dropped_and_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(hub_agent, "_MOST_WAITING_BYTES", 2**20)
    async with running_hub() as runner:
        await runner.agent()
        other = await runner.agent("node-2")
        order = msgspec.Raw(msgspec.json.encode("x" * 2**20))
        for _ in range(30):  # more than the kernel takes
            await runner.send(ToAgent(node="node-1", order=order))
        assert (await runner.gone()).startswith("it does not read: ")
        await other.send(report({}))
        assert (await runner.receive(FromAgent)).node == "node-2"


async def test_the_runner_can_drop_an_agent():
    async with running_hub() as runner:
        agent = await runner.agent()
        await runner.receive(AgentJoined)
        await runner.send(DropAgent(node="node-1", reason="it sent what the runner cannot take"))
        assert await runner.gone() == "it sent what the runner cannot take"
        assert await agent.ended()


async def test_clocks_are_measured_by_the_shortest_round_trip_and_silent_agents_are_left_out():
    ahead_ns = 4_000 * NS_PER_S
    async with running_hub(silent_s=2) as runner, trio.open_nursery() as nursery:
        agent = await runner.agent()
        await runner.agent("node-2")
        nursery.start_soon(agent.answer_pings, ahead_ns)
        await runner.send(MeasureClocks(id=5, nodes=("node-1", "node-2", "node-3")))
        measured = await runner.receive(ClocksMeasured)
        nursery.cancel_scope.cancel()

    assert measured.id == 5
    (leg,) = measured.legs.values()
    assert set(measured.legs) == {"node-1"}
    assert abs(leg.offset_ns - ahead_ns) <= leg.round_trip_ns // 2 + 1


async def test_the_hub_tells_its_own_clock():
    async with running_hub() as runner:
        await runner.send(HubPing(id=3))
        pong = await runner.receive(HubPong)

    assert pong.id == 3


def _hub(lines):
    argv = [sys.executable, "-P", "-m", "runner.cluster.hub"]
    return subprocess.run(argv, input=b"".join(lines), capture_output=True, timeout=60, check=False)


def _order(**changes):
    fields = {"run_id": "r", "secret": bytes(32), "host": "127.0.0.1", "port": 0, "nodes": ["n"]}
    return (
        msgspec.json.encode(
            {"is": "order", **fields, "secret": "A" * 43 + "=", "expires_s": 60, "silent_s": 3} | changes
        )
        + b"\n"
    )


@pytest.mark.parametrize(
    ("lines", "status", "output", "errors"),
    [
        ([], 2, b"", b"the hub received no readable order\n"),
        ([b"garbage\n"], 2, b"", b"the hub received no readable order\n"),
        ([_order()], 0, b'{"is":"ready"', b""),
        ([_order(), b"garbage\n"], 1, b'{"is":"failed"', b"the hub ends: "),
        ([_order(host="192.0.2.1")], 1, b'{"is":"failed"', os.strerror(errno.EADDRNOTAVAIL).encode()),
    ],
    ids=["no order", "garbage", "the runner is gone", "garbage of the runner", "not its address"],
)
def test_how_a_hub_ends(lines, status, output, errors):
    done = _hub(lines)

    assert (done.returncode, output in done.stdout, errors in done.stderr) == (status, True, True), done
    assert b"Traceback" not in done.stderr
