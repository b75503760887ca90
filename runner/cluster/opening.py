"""Brings the hub and the agents of a run up, and takes them down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count as numbers
from typing import Final

import trio

from runner.cluster.agent_ends import AgentEnds
from runner.cluster.agent_link import AgentPlan
from runner.cluster.authentication import new_secret
from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed, HubLost, open_nursery
from runner.cluster.hub_connection import HubConnection
from runner.cluster.messages import HUB_MESSAGE, HubFailed, HubOrder, HubReady, Refused
from runner.cluster.placement import (
    HUB_ALIAS,
    BindMount,
    Channel,
    Node,
    PlacedFile,
    Placer,
    TaskPlan,
)
from runner.cluster.silence import AGENT_SILENT_S, NO_PING_S
from runner.cluster.wire import encode
from runner.core.errors import EnvironmentLacks
from runner.core.units import Seconds

HUB_COMMAND: Final = ("python3", "-P", "-m", "runner.cluster.hub")
"""Followed by the id of the run, so that the hub of another run on a machine is not taken for this one."""
HUB_AND_AGENT_COMMAND: Final = ("python3", "-P", "-m", "runner.agent.hub")
"""The same, with the agent of the hub's node beside it, which saves a container."""
AGENT_COMMAND: Final = ("python3", "-P", "-m", "runner.agent")
AGENT_FILE: Final = "/run/loadproof/agent.json"
HUB_PORT: Final = 7700
"""On a network of the run; in the network of a node the hub takes a free port."""
EXPIRES_S: Final[Seconds] = 24 * 3600

_HUB_WITHIN_S: Final[Seconds] = 20
_PLACED_WITHIN_S: Final[Seconds] = 30
_JOINED_WITHIN_S: Final[Seconds] = 25
_LOOK_EVERY_S: Final[Seconds] = 0.5
_REMOVED_WITHIN_S: Final[Seconds] = 20
_UNPRIVILEGED: Final = "65534"
_SEEN: Final = (BindMount("/proc", "/host/proc"), BindMount("/sys", "/host/sys"))


@asynccontextmanager
async def open_cluster(
    placer: Placer,
    *,
    run_id: str,
    image: str,
    nodes: Sequence[Node],
    networks: Sequence[str] = (),
    host_network: bool = False,
    say: Callable[[str], None],
    expires_s: Seconds = EXPIRES_S,
    beside: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
) -> AsyncIterator[Cluster]:
    """Provide the agents of nodes, all of which have joined, and remove them at the end.

    Args:
        placer: Where they run.
        run_id: Of the run.
        image: Of hub and agents, pinned.
        nodes: One agent on each; at least one.
        networks: That agents are in, as `Placer.network` returned them; the hub is in the first one. None for
            one of their own: each network of several machines takes half a second of CPU to bring up.
        host_network: Whether hub and agents share the network of their nodes; `networks` is unused then.
        say: Shows the user a line of progress.
        expires_s: After which hub and agents end, whatever happens to the runner.
        beside: Is done while hub and agents start; what it raises ends them.

    Raises:
        StackFailed: The hub or an agent could not be placed.
        AgentFailed: An agent runs but does not join.
        HubLost: The hub does not start, or is gone before all have joined.
    """
    say(f"starting agents on {', '.join(node.name for node in nodes)}")
    opening = _Opening(placer, run_id=run_id, image=image, nodes=nodes, expires_s=expires_s)
    async with opening.nursery() as nursery:
        async with open_nursery() as starting:
            starting.start_soon(beside)
            cluster = await opening.start(nursery, networks, host_network=host_network)
        yield cluster
        _say_refused(cluster.refused, say)


def _say_refused(refused: Refused, say: Callable[[str], None]) -> None:
    """Tell the user of strangers: something else on the network speaks to the hub."""
    if refused.count:
        last = f"the last from {refused.address}: {refused.reason}"
        say(f"connections that the hub refused: {refused.count:,}; {last}")


class _Opening:
    """Hub and agents while they are brought up and taken down."""

    def __init__(
        self, placer: Placer, *, run_id: str, image: str, nodes: Sequence[Node], expires_s: Seconds
    ) -> None:
        self._placer, self._run_id, self._image, self._expires_s = placer, run_id, image, expires_s
        self._every = tuple(nodes)
        self._nodes = {f"agent-{number}": node for number, node in enumerate(nodes, 1)}
        self._own: Node | None = None
        self._secret = new_secret()
        self._channel: Channel | None = None
        self._port = 0
        self._joining: Callable[[str, Node], TaskPlan] | None = None
        self._placed = numbers(len(self._nodes) + 1)
        self._ends = AgentEnds(placer, self._nodes)
        self._have_joined = False
        self._not_running: set[str] = set()
        self._patience = trio.CancelScope()

    async def start(self, nursery: trio.Nursery, networks: Sequence[str], *, host_network: bool) -> Cluster:
        """Start hub and agents: at the same time on a network of the run, where its address is known."""
        if len(networks) <= 1:  # an engine takes no container in more
            self._keep_own()
        self._not_running = set(self._nodes)
        if host_network:
            channel = await self._start_hub(None, 0)
            self._place_agents(nursery, (), channel.address, self._port)
        else:
            networks = tuple(networks) or (await self._placer.network("control"),)
            self._place_agents(nursery, networks, HUB_ALIAS, HUB_PORT)
            channel = await self._start_hub(networks[0], HUB_PORT)
        self._begin_patience()
        hub = HubConnection(channel)
        nursery.start_soon(hub.follow)
        await self._wait_joined(hub)
        self._have_joined = True
        nursery.start_soon(self._ends.explain_losses, hub)
        return Cluster(
            hub,
            self._every,
            run_id=self._run_id,
            place_again=lambda node: nursery.start_soon(self._place_again, node),
            list_nodes=self._placer.nodes,
        )

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[trio.Nursery]:
        """Provide a nursery for what goes on beside the block; at its end hub and agents are removed."""
        async with open_nursery() as nursery:
            try:
                yield nursery
            finally:
                nursery.cancel_scope.cancel()
                await self._close()

    async def _close(self) -> None:
        """End hub and agents, whose end `Placer.remove_all` waits for; bounded in time, not interrupted."""
        with trio.CancelScope(shield=True), trio.move_on_after(_REMOVED_WITHIN_S):
            if self._channel:
                await self._channel.aclose()
            async with trio.open_nursery() as nursery:
                for name in self._nodes:
                    nursery.start_soon(self._remove, name)

    async def _remove(self, name: str) -> None:
        """Remove an agent; where the engine is gone, `Placer.remove_all` tells what is left."""
        with suppress(EnvironmentLacks):
            await self._placer.remove(name, wait=False)

    def _keep_own(self) -> None:
        """Leave the agent of the hub's node, if it is wanted, to the hub's container."""
        for name, node in self._nodes.items():
            if node.id == self._placer.hub_node():
                self._own = self._nodes.pop(name)
                return

    async def _start_hub(self, network: str | None, port: int) -> Channel:
        channel = self._channel = await self._placer.start_hub(
            image=self._image,
            command=(*(HUB_AND_AGENT_COMMAND if self._own else HUB_COMMAND), self._run_id),
            network=network,
            mounts=_SEEN if self._own else (),
        )
        self._port = await self._order_hub(channel, port)
        return channel

    async def _order_hub(self, channel: Channel, port: int) -> int:
        """Tell the hub what to do; returns the port at which it listens."""
        order = HubOrder(
            run_id=self._run_id,
            secret=self._secret,
            host="::" if ":" in channel.address else "0.0.0.0",  # noqa: S104  (the secret guards it)
            port=port,
            nodes=tuple(node.name for node in self._every),
            expires_s=self._expires_s,
            silent_s=AGENT_SILENT_S,
            own_node=self._own.name if self._own else None,
        )
        reason = f"it did not listen within {_HUB_WITHIN_S:g} s"
        with trio.move_on_after(_HUB_WITHIN_S):
            try:
                await channel.send_line(encode(order))
                message = HUB_MESSAGE.decode(await channel.receive_line() or b"")
                if isinstance(message, HubReady):
                    return message.port
                reason = message.reason if isinstance(message, HubFailed) else "it sent another message"
            except trio.BrokenResourceError:
                reason = "it ended at once"
            except ValueError:
                reason = "it ended at once, or sent an unreadable message"
        raise HubLost(f"the hub did not start: {reason}", details=channel.last_words())

    def _place_agents(self, nursery: trio.Nursery, networks: tuple[str, ...], hub: str, port: int) -> None:
        """Begin to place all agents; that one has joined is known before the engine reports that it runs."""
        plan = AgentPlan(
            run_id=self._run_id,
            secret=self._secret,
            hub=hub,
            port=port,
            expires_s=self._expires_s,
            no_ping_s=NO_PING_S,
        )
        self._joining = partial(self._task, plan, networks)
        for name, node in self._nodes.items():
            nursery.start_soon(self._place, self._joining(name, node))

    async def _place(self, plan: TaskPlan) -> None:
        try:
            await self._placer.place(plan, within=_PLACED_WITHIN_S)
        except EnvironmentLacks:
            if not self._have_joined:  # later the hub reports that it is lost
                raise
        self._not_running.discard(plan.name)
        self._begin_patience()

    def _begin_patience(self) -> None:
        """Wait for agents to join from when the last one of them runs."""
        if not self._not_running:
            self._patience.deadline = trio.current_time() + _JOINED_WITHIN_S

    async def _place_again(self, node: Node) -> None:
        """Place another agent on a node, if the node takes one; what became of it is known when it joins."""
        assert self._joining is not None
        name = f"agent-{next(self._placed)}"
        self._nodes[name] = node
        with suppress(EnvironmentLacks):
            await self._placer.place(self._joining(name, node), within=_PLACED_WITHIN_S)

    def _task(self, plan: AgentPlan, networks: tuple[str, ...], name: str, node: Node) -> TaskPlan:
        return TaskPlan(
            name=name,
            image=self._image,
            command=(*AGENT_COMMAND, AGENT_FILE, node.name),
            networks=networks,
            host=not networks,
            node_id=node.id,
            files=(PlacedFile(AGENT_FILE, plan.to_json(), secret=True),),
            mounts=_SEEN,
            user=_UNPRIVILEGED,
            read_only=True,
            cap_drop=("ALL",),
        )

    async def _wait_joined(self, hub: HubConnection) -> None:
        """Wait until all agents have joined.

        Raises:
            AgentFailed: One has not, or was lost at once.
            HubLost: The hub is gone.
        """
        names = {node.name for node in self._every}

        def settled() -> bool | None:
            return True if hub.hub_lost or hub.lost or names <= set(hub.agents) else None

        with self._patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait_ended, hub, nursery.cancel_scope)
                await hub.wait_until(settled)
                nursery.cancel_scope.cancel()
        if hub.hub_lost:
            raise HubLost(hub.hub_lost)
        for lost in hub.lost.values():
            raise AgentFailed(
                f"the agent on {lost.node} was lost at once: {lost.reason}",
                details=self._own_words(lost.node),
            )
        if self._own and self._own.name not in hub.agents:
            raise AgentFailed(
                f"the agent on {self._own.name} did not join the hub beside it within {_JOINED_WITHIN_S:g} s",
                details=self._own_words(self._own.name),
            )
        for name in self._missing(hub):
            raise await self._ends.not_joined(name, _JOINED_WITHIN_S)

    def _own_words(self, node: str) -> tuple[str, ...]:
        """Return the last lines of the agent beside the hub, and of the hub, if that is the one of a node."""
        return self._channel.last_words() if self._own and self._channel and self._own.name == node else ()

    async def _wait_ended(self, hub: HubConnection, scope: trio.CancelScope) -> None:
        """Cancel the scope when an agent has ended instead of joining."""
        while True:
            await trio.sleep(_LOOK_EVERY_S)
            for name in self._missing(hub):
                tasks = await self._placer.tasks(name)
                if any(task.exit_code is not None for task in tasks):
                    scope.cancel()

    def _missing(self, hub: HubConnection) -> list[str]:
        return [name for name, node in self._nodes.items() if node.name not in hub.agents]
