"""Brings a topology `swarm` up, waits until every part of it responds, and takes it down.

Read `open_stack` first: it is the table of contents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio

from runner.cluster.client import Cluster
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, LoadproofError
from runner.core.units import Seconds
from runner.experiment.service_addresses import Addresses
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import KEPT_LINES, Stack, StackContext
from runner.stack.swarm.bring_up import NETWORK, Starter
from runner.stack.swarm.description import describe
from runner.stack.swarm.monitor import Monitor
from runner.stack.swarm.parts import PartTask
from runner.stack.swarm.placer import SwarmPlacer
from runner.stack.swarm.plans import Planner
from runner.stack.swarm.preparation import prepare_stack
from runner.stack.swarm.stack import SwarmStack

_TAKE_DOWN_S: Final[Seconds] = 20.0
_LOGS_S: Final[Seconds] = 5.0
_LOGS_OF_LOST_S: Final[Seconds] = 1.0
"""For those on a node whose agent is lost: most likely nothing of it can be read."""


@asynccontextmanager
async def open_stack(topology: SwarmTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Implement `runner.stack.swarm.open_swarm`."""
    placer, cluster = _engines(context)
    nodes = await placer.nodes()
    prepared = context.prepared or await prepare_stack(placer, topology, context, nodes)
    images = prepared.images
    contents = prepared.secrets.items()
    secrets = {f"secret {name}": value.decode(errors="replace") for name, value in contents}
    planner = Planner(
        topology,
        run_id=context.run_id,
        network=await placer.network(NETWORK) if topology.path != "host" else "",
        images=images.pinned,
        files=prepared.files,
    )
    monitor = Monitor(placer, cluster, {**secrets, **context.request_secrets})
    starter = Starter(placer, cluster, topology, context, nodes, images, planner, monitor)
    try:
        addresses = await starter.start_services()
        entry = await starter.start_app(addresses)
        yield SwarmStack(
            placer=placer,
            monitor=monitor,
            endpoint=Endpoint(entry.host, entry.port),
            description=await describe(starter),
            secrets={**_secrets(starter), **secrets},
            addresses_here=_addresses_here(starter, addresses),
            addresses_inside=addresses,
        )
    finally:
        with trio.CancelScope(shield=True):
            await _leave(starter)


def _engines(context: StackContext) -> tuple[SwarmPlacer, Cluster]:
    """Return what places the tasks, and the agents on the nodes."""
    if not isinstance(context.placer, SwarmPlacer) or context.cluster is None:
        raise EnvironmentLacks(
            "kind swarm needs agents on the nodes of a Docker Swarm, and none were started"
        )
    return context.placer, context.cluster


def _secrets(starter: Starter) -> Mapping[str, str]:
    return {name: value for one in starter.monitor.tasks for name, value in one.part.secrets.items()}


def _addresses_here(starter: Starter, addresses: Addresses) -> Addresses:
    """Return the services that this machine may reach: those on the network of nodes."""
    return addresses if starter.topology.path == "host" else {}


async def _leave(starter: Starter) -> None:
    """Keep the output of all tasks, and end them, which the placer waits for; bounded in time."""
    with trio.move_on_after(_LOGS_S):
        async with trio.open_nursery() as nursery:
            for one in starter.monitor.tasks:
                nursery.start_soon(_keep_log, starter, one)
    left = set(starter.names)

    async def remove(name: str) -> None:
        try:
            await starter.placer.remove(name, wait=False)
        except LoadproofError as error:
            starter.context.say(f"{name} cannot be removed from the swarm: {error.message}")
        else:
            left.discard(name)

    with trio.move_on_after(_TAKE_DOWN_S):
        async with trio.open_nursery() as nursery:
            for name in dict.fromkeys(starter.names):
                nursery.start_soon(remove, name)
    if left:  # whatever is left has the run's label, by which it is removed later
        names = ", ".join(sorted(left))
        starter.context.say(f"still in the swarm after {_TAKE_DOWN_S:g} s: {names}; the run tries again")


async def _keep_log(starter: Starter, one: PartTask) -> None:
    lines: tuple[str, ...] = ()
    with trio.move_on_after(_LOGS_OF_LOST_S if one.node.name in starter.cluster.lost else _LOGS_S):
        lines = await starter.monitor.last_lines(one, KEPT_LINES)
    starter.context.keep_log(one.name, "".join(f"{line}\n" for line in lines).encode())
