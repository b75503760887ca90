"""Brings the parts of a topology `swarm` up: services in order, the replicas, and nginx in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from runner.cluster.client import Cluster
from runner.cluster.errors import open_nursery
from runner.cluster.placement import Node
from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext
from runner.stack.swarm.monitor import Monitor
from runner.stack.swarm.part_images import PartImages, explain_missing
from runner.stack.swarm.parts import PartTask, tasks_of
from runner.stack.swarm.placer import SwarmPlacer
from runner.stack.swarm.plans import Part, Planner
from runner.stack.swarm.preparation import nodes_of_replicas
from runner.stack.swarm.readiness import all_ready, wait_until_ready

NETWORK: Final = "data"
"""The run's network that the load and the system share."""
_PLACE_S: Final[Seconds] = 60.0
_PULL_S: Final[Seconds] = 600.0


@dataclass(frozen=True, slots=True)
class Starter:
    """Places the parts of one stack.

    Attributes:
        nodes: All nodes of the swarm.
        images: Of the parts.
        planner: Plans the parts.
        monitor: Watches the tasks that run.
        names: Of the plans that were placed, or may have been.
    """

    placer: SwarmPlacer
    cluster: Cluster
    topology: SwarmTopology
    context: StackContext
    nodes: tuple[Node, ...]
    images: PartImages
    planner: Planner
    monitor: Monitor
    names: list[str] = field(default_factory=list)

    async def start_services(self) -> dict[str, tuple[str, int | None]]:
        """Start the services, each when the one before is ready; return where other parts reach them."""
        addresses: dict[str, tuple[str, int | None]] = {}
        for name, service in self.topology.services.items():
            self.context.say(f"starting the service {name}")
            (one,) = await self.place(self.planner.service(name, addresses))
            on_host = self.topology.path == "host"
            addresses[name] = (one.host if on_host else name, service.port)
            ready = service.ready
            if (ready and ready.command) or not (one.port or (ready and ready.tcp)):
                continue  # the engine has run the command, or there is nothing to look at
            path = ready.http if ready else None
            wait = partial(
                self._wait_ready, one, path, service.ready_within, port=ready.tcp if ready else None
            )
            await all_ready(self.monitor, [wait])
        return addresses

    async def start_app(self, addresses: dict[str, tuple[str, int | None]]) -> PartTask:
        """Start the replicas and the proxy, and return the task that the load goes to."""
        replicas = await self._place_replicas(
            self.planner.app(addresses, nodes_of_replicas(self.topology, self.nodes))
        )
        app, proxy = self.topology.app, self.topology.proxy
        entry = replicas[0]

        async def start_proxy() -> None:
            nonlocal entry
            if proxy is None:
                return
            part, text = self.planner.nginx(proxy, [one.authority for one in replicas])
            self.context.keep_rendered("nginx.conf", text.encode())
            (entry,) = await self.place(part)
            await self._wait_ready(entry, app.health, app.ready_within)

        waits = [partial(self._wait_ready, one, app.health, app.ready_within) for one in replicas]
        await all_ready(self.monitor, [*waits, start_proxy])
        return entry

    async def place(self, part: Part) -> list[PartTask]:
        """Place a part, and return its tasks when all of them run.

        Raises:
            StackFailed: They do not; its details are the last output, secrets masked.
        """
        self.names.append(part.plan.name)
        check = part.plan.healthcheck
        within = (_PULL_S if self.topology.registry else _PLACE_S) + (
            check.interval * check.retries if check else 0
        )
        try:
            tasks = await self.placer.place(part.plan, within=within)
        except StackFailed as failed:
            await explain_missing(self.placer, self.images, failed)
            lines = self.monitor.presentable(failed.details, part)
            raise StackFailed(failed.message, hint=failed.hint, details=lines) from failed
        by_id = {node.id: node for node in self.nodes}
        network = self.planner.network
        placed = tasks_of(part, tasks, nodes=by_id, path=self.topology.path, network=network)
        self.monitor.tasks.extend(placed)
        return placed

    async def _place_replicas(self, parts: Sequence[Part]) -> list[PartTask]:
        placed: dict[str, list[PartTask]] = {}

        async def place(part: Part) -> None:
            placed[part.plan.name] = await self.place(part)

        async with open_nursery() as nursery:
            for part in parts:
                nursery.start_soon(place, part)
        return [one for part in parts for one in placed[part.plan.name]]

    async def _wait_ready(
        self, one: PartTask, path: str | None, within: Seconds, *, port: int | None = None
    ) -> None:
        await wait_until_ready(self.monitor, self.cluster, one, path, within=within, port=port)
