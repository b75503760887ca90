"""A `Placer` whose hub and agents are tasks of the test: they start in no time."""

from contextlib import suppress

import msgspec
import trio
import trio.testing

from runner.agent.kinds import KINDS, MODULES
from runner.cluster.agent import Abilities, run
from runner.cluster.agent_link import AgentPlan
from runner.cluster.hub import Hub
from runner.cluster.lines import LineReader, LineWriter
from runner.cluster.messages import HUB_ORDER
from runner.cluster.placement import Node, Task


class MemoryChannel:
    """The hub's standard input and output, as streams in memory."""

    address = "127.0.0.1"
    node = "node-1"

    def __init__(self, stream):
        self._stream, self._reader, self._writer = stream, LineReader(stream), LineWriter(stream)

    async def send_line(self, line):
        await self._writer.send(line)

    async def receive_line(self):
        with suppress(trio.ClosedResourceError):
            return await self._reader.line()

    def last_words(self):
        return ()

    async def aclose(self):
        await self._stream.aclose()


class InProcessPlacer:
    """Places hub and agents in a nursery.

    Args:
        nursery: Of the test.
        names: Of the nodes.
        kinds: That agents answer besides the usual ones.
        modules: That agents start besides the usual ones.
    """

    def __init__(self, nursery, names=("node-1", "node-2"), *, kinds=None, modules=()):
        self._nursery, self._names = nursery, names
        self._abilities = Abilities(MODULES | set(modules), {**KINDS, **(kinds or {})})
        self.plans, self.statuses, self.scopes = {}, {}, {}

    async def nodes(self):
        return tuple(Node(name, name, "127.0.0.1", 2, 2**30, "amd64") for name in self._names)

    async def network(self, name):
        return name

    def hub_node(self):
        return ""

    async def start_hub(self, *, image, command, network, files=(), mounts=()):
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve_hub, theirs)
        return MemoryChannel(ours)

    async def place(self, plan, *, within):
        self.plans[plan.name] = plan
        self._nursery.start_soon(self._serve_agent, plan)
        return await self.tasks(plan.name)

    async def tasks(self, name):
        status = self.statuses.get(name)
        state = "running" if status is None else "failed"
        if name not in self.plans:
            return ()
        return (Task(name, 1, self.plans[name].node_id, state, exit_code=status),)

    async def output(self, name, lines):
        return {}

    async def remove(self, name, *, wait=True):
        self.scopes[name].cancel()

    async def remove_all(self):
        return ""

    async def _serve_hub(self, stream):
        reader = LineReader(stream)
        with suppress(trio.BrokenResourceError, BaseExceptionGroup):
            await Hub(HUB_ORDER.decode(await reader.line()), LineWriter(stream)).serve(reader)
        await stream.aclose()

    async def _serve_agent(self, plan):
        order = msgspec.json.decode(plan.files[0].content, type=AgentPlan)
        with trio.CancelScope() as self.scopes[plan.name]:
            self.statuses[plan.name] = await run(plan.command[-1], order, self._abilities)
