"""A hub inside the test, and the other ends of its connections, which may send anything."""

import contextlib
import time
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import trio
import trio.testing

from runner.cluster.authentication import Side, new_nonce, proof
from runner.cluster.facts import AgentInfo
from runner.cluster.hub import Hub
from runner.cluster.lines import LineReader, LineWriter
from runner.cluster.messages import (
    ADMISSION,
    CHALLENGE,
    HUB_MESSAGE,
    HUB_TO_AGENT,
    AgentGone,
    Hello,
    HubOrder,
    Ping,
    Pong,
)
from runner.cluster.wire import encode

SECRET = bytes(range(32))
INFO = AgentInfo(
    hostname="host", pid=1, cores=2, memory_bytes=2**30, architecture="x86_64", kernel="6", python="3.11"
)


class RunnerSide:
    """The runner's end of a hub's pipes."""

    def __init__(self, stream, hub_port, connections):
        self.reader, self.writer, self.port = LineReader(stream), LineWriter(stream), hub_port
        self._connections = connections

    async def connection(self):
        """Open a connection to the hub, which ends with the hub."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        return RawAgent(await self._connections.enter_async_context(stream))

    async def agent(self, node="node-1", **changes):
        """Open a connection and join; `admission` is None if the hub hangs up."""
        agent = await self.connection()
        agent.admission = await agent.join(node, **changes)
        return agent

    async def send(self, message):
        await self.writer.send(encode(message))

    async def receive(self, kind):
        """Return the next message of a kind."""
        with trio.fail_after(60):
            while True:
                message = HUB_MESSAGE.decode(await self.reader.line())
                if isinstance(message, kind):
                    return message

    async def gone(self, node="node-1"):
        """Wait until an agent is gone; returns why."""
        message = await self.receive(AgentGone)
        assert message.node == node
        return message.reason


@asynccontextmanager
async def running_hub(**changes):
    """Yield the runner's side of a hub that expects node-1 and node-2."""
    fields = {"run_id": "run-1", "secret": SECRET, "host": "127.0.0.1", "port": 0, "silent_s": 60}
    fields |= {"nodes": ("node-1", "node-2"), "expires_s": 600} | changes
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        hub = Hub(HubOrder(**fields), LineWriter(theirs))
        nursery.start_soon(hub.serve, LineReader(theirs))
        ready = HUB_MESSAGE.decode(await LineReader(ours).line())
        async with contextlib.AsyncExitStack() as connections:
            yield RunnerSide(ours, ready.port, connections)
        nursery.cancel_scope.cancel()


class RawAgent:
    """One connection to a hub."""

    def __init__(self, stream):
        self.stream, self.reader = stream, LineReader(stream)

    async def join(self, node="node-1", *, secret=SECRET, run_id="run-1", side=Side.AGENT):
        challenge = CHALLENGE.decode(await self.reader.line())
        nonce = new_nonce()
        prove = partial(proof, secret, run_id=run_id, node=node, nonces=(challenge.nonce, nonce))
        await self.send(encode(Hello(node=node, nonce=nonce, proof=prove(side), info=INFO)))
        line = await self.reader.line()
        self.hub_proof = prove(Side.HUB)
        return line and ADMISSION.decode(line)

    async def send(self, data):
        await self.stream.send_all(data)

    async def send_for_ever(self, data, pause_s=0):
        """Send the same again and again, until the hub hangs up."""
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await self.send(data)
                await trio.sleep(pause_s)

    async def ended(self):
        """Return whether the hub closes the connection, whatever it sends before."""
        with trio.fail_after(60):
            try:
                while await self.stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            return True

    async def answer_pings(self, ahead_ns=0):
        """Answer as an agent whose clock is ahead."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while (line := await self.reader.line()) is not None:
                message = HUB_TO_AGENT.decode(line)
                if isinstance(message, Ping):
                    await self.send(encode(Pong(id=message.id, at_ns=time.monotonic_ns() + ahead_ns)))


def report(content):
    """Return the line of an `Up`."""
    return b'{"is":"up","report":%s}\n' % msgspec.json.encode(content)
