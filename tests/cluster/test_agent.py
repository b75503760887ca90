"""An agent does only what a hub that knows the secret tells it, and ends itself when that is gone."""

import contextlib
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from runner.cluster import agent_processes
from runner.cluster.agent import Abilities, run
from runner.cluster.agent_asks import Call, Unanswerable
from runner.cluster.agent_link import AgentPlan
from runner.cluster.agent_messages import (
    AGENT_REPORT,
    Ask,
    AskAnswer,
    AskFailed,
    AskItem,
    CancelAsk,
    EndProcess,
    InputTaken,
    ProcessEnded,
    ProcessGarbage,
    ProcessInput,
    ProcessLine,
    ProcessStarted,
    StartProcess,
    Tell,
)
from runner.cluster.authentication import Side, new_nonce, proof
from runner.cluster.lines import LineReader
from runner.cluster.messages import HELLO, Challenge, Denied, Down, Ping, Pong, Up, Welcome
from runner.cluster.wire import encode, raw
from tests.cluster.raw_agent import SECRET

_MODULE = "tests.cluster.chatty"


class FalseHub:
    """The hub's end of the connection of one agent."""

    def __init__(self, stream):
        self.stream, self.reader = stream, LineReader(stream)
        self.status = None

    async def send(self, message):
        await self.stream.send_all(encode(message))

    async def order(self, message):
        await self.send(Down(order=raw(message)))

    async def admit(self, *, secret=SECRET, node="node-1"):
        nonce = new_nonce()
        await self.send(Challenge(nonce=nonce))
        hello = HELLO.decode(await self.reader.line())
        await self.send(
            Welcome(proof=proof(secret, Side.HUB, run_id="run-1", node=node, nonces=(nonce, hello.nonce)))
        )
        return hello

    async def report(self):
        """Return the next report."""
        with trio.fail_after(60):
            message = msgspec.json.decode(await self.reader.line(), type=Pong | Up)
            return AGENT_REPORT.decode(message.report) if isinstance(message, Up) else message


@asynccontextmanager
async def agent(kinds=None, *, is_admitted=True, **changes):
    """Yield the hub's side of an agent in this process; its status is there when the block has ended."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            fields = {"run_id": "run-1", "secret": SECRET, "hub": "127.0.0.1", "expires_s": 600}
            fields |= {"port": listener.socket.getsockname()[1], "no_ping_s": 60} | changes
            done = trio.Event()

            async def serve():
                hub.status = await run("node-1", AgentPlan(**fields), Abilities({_MODULE}, kinds or {}))
                done.set()

            hub = FalseHub(None)
            nursery.start_soon(serve)
            stream = await listener.accept()
        hub.__init__(stream)
        if is_admitted:
            await hub.admit()
        async with stream:
            yield hub
        with trio.fail_after(60):
            await done.wait()


async def test_an_agent_ends_when_its_hub_hangs_up(capfd):
    async with agent() as hub:
        pass

    assert hub.status == 8
    assert capfd.readouterr().err == "the agent ends: the hub ended the connection\n"


async def test_an_agent_that_hears_no_ping_ends_itself(capfd):
    async with agent(no_ping_s=1) as hub:
        assert await hub.reader.line() is None

    assert hub.status == 8
    assert capfd.readouterr().err == "the agent ends: the hub was silent for 1 s\n"


async def test_an_agent_ends_when_its_order_expires_although_it_hears_pings(capfd):
    async with agent(expires_s=1) as hub, trio.open_nursery() as nursery:
        nursery.start_soon(_ping, hub)
        with contextlib.suppress(trio.BrokenResourceError):
            while await hub.reader.line() is not None:
                pass
        nursery.cancel_scope.cancel()

    assert hub.status == 9
    assert capfd.readouterr().err == "the agent ends: its order has expired after 1 s\n"


async def _ping(hub):
    with contextlib.suppress(trio.BrokenResourceError):
        while True:
            await hub.send(Ping(id=1))
            await trio.sleep(0.1)


async def test_an_agent_obeys_no_hub_that_does_not_know_the_secret(capfd):
    async with agent(is_admitted=False) as hub:
        await hub.admit(secret=bytes(32))
        with contextlib.suppress(trio.BrokenResourceError):
            await hub.order(StartProcess(process=1, module=_MODULE))
            assert await hub.reader.line() is None

    assert hub.status == 7
    assert "does not know the secret of this run" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "what listens at the hub's address is no hub, or ended the connection"),
        (b"", "what listens at the hub's address is no hub, or ended the connection"),
    ],
)
async def test_an_agent_leaves_what_is_no_hub(line, reason, capfd):
    async with agent(is_admitted=False) as hub:
        await hub.stream.send_all(line)
        await hub.stream.send_eof()
        await hub.reader.line()

    assert hub.status == 7
    assert capfd.readouterr().err == f"the agent ends: {reason}\n"


async def test_an_agent_says_why_it_was_not_admitted(capfd):
    async with agent(is_admitted=False) as hub:
        await hub.send(Challenge(nonce=new_nonce()))
        await hub.reader.line()
        await hub.send(Denied(reason="the agent on 'node-1' has joined already"))
        assert await hub.reader.line() is None

    assert hub.status == 7
    assert capfd.readouterr().err == "the agent ends: the agent on 'node-1' has joined already\n"


@pytest.mark.parametrize(
    "line",
    [b"garbage\n", b'{"is":"down","order":{"is":"start","process":-1,"module":"x"}}\n', b'{"is":"down"}\n'],
)
async def test_an_agent_leaves_a_hub_that_sends_garbage(line, capfd):
    async with agent() as hub:
        await hub.stream.send_all(line)
        assert await hub.reader.line() is None

    assert hub.status == 8
    assert "the hub sent what this agent cannot do" in capfd.readouterr().err


async def test_an_agent_answers_pings_with_its_clock():
    async with agent() as hub:
        await hub.send(Ping(id=7))
        pong = await hub.report()

    assert pong.id == 7


async def test_a_process_gets_its_input_and_its_lines_are_passed_on():
    async with agent() as hub:
        await hub.order(StartProcess(process=3, module=_MODULE))
        started = await hub.report()
        assert isinstance(started, ProcessStarted)
        assert Path(f"/proc/{started.pid}").exists()
        await hub.order(ProcessInput(process=3, data=b'say {"a":'))
        assert isinstance(await hub.report(), InputTaken)
        await hub.order(ProcessInput(process=3, data=b"[1.50]}\n"))
        reports = sorted([await hub.report(), await hub.report()], key=lambda report: type(report).__name__)
        assert [type(report) for report in reports] == [InputTaken, ProcessLine]
        assert bytes(reports[1].line) == b'{"a":[1.50]}'
        await hub.order(ProcessInput(process=3, data=b"say " + b"[" * 90_000 + b"\n"))
        reports = [await hub.report(), await hub.report()]
        assert ProcessGarbage(process=3, line=b"[" * 4096) in reports
        await hub.order(ProcessInput(process=3, data=b"say no JSON\nexit 5\n"))
        reports = [await hub.report() for _ in range(3)]
        (garbage,) = (report for report in reports if isinstance(report, ProcessGarbage))
        assert garbage.line == b"no JSON"
        (ended,) = (report for report in reports if isinstance(report, ProcessEnded))
        assert (ended.process, ended.status, ended.error) == (3, 5, "")


async def test_an_end_of_input_ends_a_process_and_one_that_ignores_it_is_killed():
    async with agent() as hub:
        for number, words in ((1, b""), (2, b"ignore\n")):
            await hub.order(StartProcess(process=number, module=_MODULE))
            assert isinstance(await hub.report(), ProcessStarted)
            await hub.order(ProcessInput(process=number, data=words))
            assert isinstance(await hub.report(), InputTaken)
        assert isinstance(await hub.report(), ProcessLine)  # it ignores the end from now on
        for number, status in ((1, 0), (2, -9)):
            await hub.order(EndProcess(process=number))
            assert await hub.report() == ProcessEnded(process=number, status=status)


async def test_processes_end_with_their_agent():
    async with agent() as hub:
        await hub.order(StartProcess(process=1, module=_MODULE))
        pid = (await hub.report()).pid

    assert hub.status == 8
    assert not Path(f"/proc/{pid}").exists()


async def test_only_known_modules_are_started():
    async with agent() as hub:
        await hub.order(StartProcess(process=1, module="http.server"))
        ended = await hub.report()

    assert ended == ProcessEnded(process=1, error="this agent does not start http.server")


async def test_a_process_that_writes_an_endless_line_is_killed(monkeypatch):
    monkeypatch.setattr(agent_processes, "MAX_LINE", 100_000)
    async with agent() as hub:
        await hub.order(StartProcess(process=1, module=_MODULE))
        await hub.report()
        await hub.order(ProcessInput(process=1, data=b"endless\n"))
        await hub.report()
        ended = await hub.report()

    assert ended == ProcessEnded(process=1, status=-9, error="it wrote a line of more than 100,000 bytes")


async def test_a_question_is_answered_item_by_item():
    async def count(payload, call):
        for number in range(msgspec.json.decode(payload)):
            await call.send(b"%d" % number)
        further = await call.told.receive()
        return b'{"node":"%s","told":%s}' % (call.node.encode(), bytes(further))

    async with agent({"count": count}) as hub:
        await hub.order(Ask(ask=4, kind="count", payload=msgspec.Raw(b"2")))
        items = [await hub.report(), await hub.report()]
        await hub.order(Tell(ask=4, payload=msgspec.Raw(b'"stop"')))
        answer = await hub.report()

    assert [(type(item), bytes(item.item)) for item in items] == [(AskItem, b"0"), (AskItem, b"1")]
    assert isinstance(answer, AskAnswer)
    assert bytes(answer.answer) == b'{"node":"node-1","told":"stop"}'


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Unanswerable("there is no such name"), "there is no such name"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
        (KeyError("a"), "KeyError: 'a'"),
        (ExceptionGroup("", [ZeroDivisionError("division by zero")]), "ZeroDivisionError: division by zero"),
    ],
)
async def test_a_question_that_fails_tells_why_and_the_agent_goes_on(fault, reason):
    async def fail(_payload, _call: Call):
        raise fault

    async with agent({"fail": fail}) as hub:
        for number in (1, 2):
            await hub.order(Ask(ask=number, kind="fail", payload=msgspec.Raw(b"{}")))
            assert await hub.report() == AskFailed(ask=number, reason=reason)


@pytest.mark.parametrize(("answer", "reason"), [(b"{}\n", "the end of a line"), (b"{", "no JSON")])
async def test_an_answer_that_would_break_a_line_is_not_sent(answer, reason):
    async def reply(_payload, _call):
        return answer

    async with agent({"reply": reply}) as hub:
        await hub.order(Ask(ask=1, kind="reply", payload=msgspec.Raw(b"{}")))
        assert reason in (await hub.report()).reason


async def test_a_withdrawn_question_is_cancelled_and_leaves_the_connection_whole():
    cancelled = trio.Event()

    async def stream(_payload, call):
        try:
            while True:
                await call.send(b'"item"')
        finally:
            cancelled.set()

    async def quick(_payload, _call):
        return b"1"

    async with agent({"stream": stream, "quick": quick}) as hub:
        await hub.order(Ask(ask=1, kind="stream", payload=msgspec.Raw(b"{}")))
        for _ in range(50):
            assert isinstance(await hub.report(), AskItem)
        await hub.order(CancelAsk(ask=1))
        await hub.order(Ask(ask=2, kind="quick", payload=msgspec.Raw(b"{}")))
        while isinstance(report := await hub.report(), AskItem):
            pass
        assert report == AskAnswer(ask=2, answer=msgspec.Raw(b"1"))
        await cancelled.wait()


def _start(*arguments):
    argv = [sys.executable, "-P", "-m", "runner.agent", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("content", [None, b"garbage", b"{}"])
def test_an_agent_without_a_readable_order_says_so(tmp_path, content):
    file = tmp_path / "agent.json"
    if content is not None:
        file.write_bytes(content)

    done = _start(str(file), "node-1")

    assert done.returncode == 2
    assert done.stderr.startswith(f"the agent ends: {file} cannot be read: ")
    assert "Traceback" not in done.stderr


async def test_an_agent_gives_up_when_no_hub_is_reachable(monkeypatch, capfd):
    monkeypatch.setattr("runner.cluster.agent_link._REACH_WITHIN_S", 0.5)
    plan = AgentPlan(run_id="r", secret=SECRET, hub="127.0.0.1", port=1, expires_s=60, no_ping_s=10)

    assert await run("node-1", plan, Abilities((), {})) == 7
    assert "the hub at 127.0.0.1:1 is not reachable: " in capfd.readouterr().err
