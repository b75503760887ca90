"""Checks what a swarm has, lacks and can offer, by running one agent on each of its nodes for a moment."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from runner.cluster.client import Cluster
from runner.cluster.facts import ClockOffset
from runner.cluster.opening import open_cluster
from runner.cluster.placement import Node
from runner.core.errors import LoadproofError
from runner.core.units import BYTES_PER_MIB, Nanoseconds
from runner.stack.docker.checkup import DockerCheck as Check
from runner.stack.protocols import StackContext
from runner.stack.swarm.agent_image import agent_image
from runner.stack.swarm.missing_images import ImagesMissing, refuse_missing
from runner.stack.swarm.placer import SwarmPlacer, open_placer
from runner.stack.watchdog import open_watchdog

_GOOD_ERROR_NS: Final[Nanoseconds] = 250_000
"""How exactly clocks of nodes should be known, half of the shortest round trip."""
_READY: Final = "ready"
_SET_ASIDE: Final = frozenset({"drain", "pause"})
"""States of nodes that somebody chose with `docker node update`."""


async def check_swarm(say: Callable[[str], None], registry: str | None = None) -> list[Check]:
    """Return what was found, most basic first; the last one says what failed, if anything did.

    Args:
        say: Shows a line of progress.
        registry: Where the image of agents is pushed to; None if every node has it.
    """
    checks: list[Check] = []
    step = "manager"
    try:
        async with _placer(say) as placer:
            nodes = await placer.nodes()
            checks += [_manager(placer, nodes), *map(_node, nodes)]
            ready = [node for node in nodes if node.state == _READY]
            step = "image of agents"
            image = await agent_image(placer, ready, registry, say)
            if registry is None:
                await refuse_missing(placer, [image], hint="or name a registry with --registry")
            checks.append(Check(step, "ok", f"all {len(ready)} ready nodes can run it"))
            step = "overlay network"
            network = await placer.network("data")
            opened = open_cluster(
                placer, run_id=placer.run_id, image=image.name, nodes=ready, networks=(network,), say=say
            )
            async with opened as cluster:
                checks += await _with_agents(cluster, len(ready))
    except ImagesMissing as error:
        checks.append(Check(step, "missing", error.message, f"{'; '.join(error.details)}: {error.hint}"))
    except LoadproofError as error:
        hint = error.hint or "`docker node ls` and the logs of the engines say more"
        checks.append(Check(step, "missing", error.message, hint))
    return checks


@asynccontextmanager
async def _placer(say: Callable[[str], None]) -> AsyncIterator[SwarmPlacer]:
    run_id = f"doctor-{secrets.token_hex(4)}"
    with TemporaryDirectory() as scratch:
        async with open_watchdog(run_id) as guard:
            context = StackContext(run_id, "doctor", Path.cwd(), Path(scratch), guard, say)
            async with open_placer(context) as placer:
                yield placer


def _manager(placer: SwarmPlacer, nodes: Sequence[Node]) -> Check:
    managers = sum(node.is_manager for node in nodes)
    text = f"{placer.engine.base_url}: a swarm of {len(nodes)} nodes, {managers} of them managers"
    return Check("manager", "ok", text)


def _node(node: Node) -> Check:
    role = "manager" if node.is_manager else "worker"
    labels = "".join(f", {name}={value}" for name, value in sorted(node.labels.items()))
    text = (
        f"{role}, {node.state}, {node.cores:g} cores, {node.memory_bytes // BYTES_PER_MIB:,} MiB, "
        f"{node.architecture}, Docker {node.engine_version}, {node.address}{labels}"
    )
    if node.state == _READY:
        return Check(node.name, "ok", text)
    until = (
        f"`docker node update --availability active {node.name}`"
        if node.state in _SET_ASIDE
        else "its engine runs and reaches the manager"
    )
    return Check(node.name, "limited", text, f"no task is placed on it until {until}")


async def _with_agents(cluster: Cluster, count: int) -> list[Check]:
    """Check what only agents on the nodes can tell."""
    clocks = await cluster.clocks()
    checks = [Check("overlay network", "ok", f"agents on {count} nodes are connected through it (VXLAN)")]
    checks += [_clock(name, clocks.get(name)) for name in sorted(cluster.agents)]
    return [*checks, await _virtual_addresses(cluster)]


def _clock(name: str, clock: ClockOffset | None) -> Check:
    title = f"clock of {name}"
    if clock is None:
        return Check(title, "missing", "its agent does not answer", "see the log of its engine")
    text = f"known to ± {clock.node_error_ns / 1e6:.3f} ms, round trip {2 * clock.node_error_ns / 1e6:.3f} ms"
    if clock.node_error_ns <= _GOOD_ERROR_NS:
        return Check(title, "ok", text)
    return Check(
        title, "limited", text, "starts differ by as much: a busy node or a slow network makes it large"
    )


async def _virtual_addresses(cluster: Cluster) -> Check:
    """Check for IPVS, which Swarm needs for virtual addresses and its ingress network."""
    answers = {
        name: msgspec.json.decode(await cluster.ask(name, "kernel", b"{}")) for name in sorted(cluster.agents)
    }
    without = [name for name, answer in answers.items() if not answer["ip_vs"]]
    if not without:
        return Check("IPVS", "ok", "loaded on all nodes; Loadproof does not need it")
    text = f"not loaded on {', '.join(without)}; Loadproof does not need it"
    return Check("IPVS", "ok", text)
