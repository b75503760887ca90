"""Brings a topology of containers up, waits until every part of it responds, and removes it.

Read `open_stack` first: it is the table of contents of this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from runner.core.codes import Role, is_service
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.system_facts import SystemDescription
from runner.core.units import Seconds
from runner.cpu_affinity import check_cpus
from runner.experiment.model import DockerTopology
from runner.experiment.service_addresses import Addresses
from runner.stack.docker.cleanup import sweep, take_down
from runner.stack.docker.containers import ContainerPlan, plan_nginx, plan_replicas
from runner.stack.docker.description import describe, metrics_urls, status_urls
from runner.stack.docker.engine import (
    Engine,
    EngineRefused,
    EngineUnavailable,
    connect,
    run_concurrently,
)
from runner.stack.docker.processes import find_subjects
from runner.stack.docker.readiness import wait_until_ready
from runner.stack.docker.responses import Info
from runner.stack.docker.services import (
    addresses_here,
    describe_service,
    inspect_urls,
    start_services,
)
from runner.stack.docker.stack import Container, DockerStack, last_lines
from runner.stack.docker.stack_images import StackImages, obtain_images
from runner.stack.docker.start import Starter, create_network, refuse_dead
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import KEPT_LINES, Stack, StackContext
from runner.stack.watched import WatchedServices, find_watched

_TAKE_DOWN_S: Final[Seconds] = 10.0
_LOGS_S: Final[Seconds] = 3.0


@asynccontextmanager
async def open_stack(topology: DockerTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Implement `runner.stack.docker.open_docker`."""
    check_cpus(topology.cpus, "topology.cpus")
    watched = await find_watched(topology.watch, context.run_id)
    engine = await connect()
    containers: list[Container] = []
    try:
        await refuse_rootless(engine)
        await sweep_engine(engine, context)
        context.guard.docker(engine.base_url)
        images = await obtain_images(engine, topology, context)
        network = await create_network(engine, context.run_id) if topology.network == "bridge" else None
        starter = Starter(engine, topology, context, images, network, containers)
        addresses = await start_services(starter)
        await starter.start(_plan(topology, images, addresses))
        endpoint = _endpoint(containers[-1])
        await _wait_ready(starter, endpoint)
        await refuse_dead(engine, containers)  # a service need not have a port that shows its end
        yield DockerStack(
            engine=engine,
            run_id=context.run_id,
            containers=tuple(containers),
            endpoint=endpoint,
            own_subjects=find_subjects(containers),
            description=await _describe(starter, watched),
            metrics_urls=metrics_urls(topology, containers),
            status_urls=status_urls(containers),
            inspect_urls=inspect_urls(starter) | watched.inspect_urls,
            watched=watched,
            addresses_here=addresses_here(starter),
            addresses_inside={**addresses, **(watched.addresses if network is None else {})},
        )
    finally:
        await _leave(engine, context, containers)


async def _describe(starter: Starter, watched: WatchedServices) -> SystemDescription:
    topology, images = starter.topology, starter.images
    services = {
        name: await describe_service(
            container,
            topology.services[name],
            images.by_role[name],
            images.built.get(name),
            starter.context.base_dir,
        )
        for container in starter.containers
        if is_service(name := container.plan.role)
    }
    own = {role: image for role, image in images.by_role.items() if not is_service(role)}
    built = images.built.get(Role.APP)
    return await describe(starter.engine, topology, own, built, starter.containers, services | watched.facts)


async def _leave(engine: Engine, context: StackContext, containers: Sequence[Container]) -> None:
    await _keep_logs(engine, context, containers)
    left = await take_down(engine, context.run_id, within=_TAKE_DOWN_S)
    engine.close()
    if left:  # the watchdog keeps trying
        context.say(left)
        return
    context.guard.docker_emptied(engine.base_url)
    for container in containers:
        context.guard.forget(container.pid)


async def _keep_logs(engine: Engine, context: StackContext, containers: Sequence[Container]) -> None:
    with trio.move_on_after(_LOGS_S, shield=True):
        for container in containers:
            with suppress(EngineUnavailable, EngineRefused):
                lines = await engine.call(last_lines, engine, container, KEPT_LINES)
                context.keep_log(container.plan.name, "".join(f"{line}\n" for line in lines).encode())


async def refuse_rootless(engine: Engine) -> None:
    """Raise EnvironmentLacks if this machine cannot reach the engine's containers."""
    info = await engine.read(Info, engine.api.info)
    if any("rootless" in option for option in info.security_options or ()):
        raise EnvironmentLacks(
            "the Docker Engine is rootless: its containers have no address on this machine",
            hint="set DOCKER_HOST to an engine that runs as root, usually unix:///var/run/docker.sock",
        )


async def sweep_engine(engine: Engine, context: StackContext) -> None:
    """Remove what killed runs left behind; continue if that fails."""
    try:
        removed = await sweep(engine)
    except StackFailed as failed:
        context.say(failed.message)
        return
    if removed:
        context.say(f"removed what an earlier run left behind: {', '.join(removed)}")


def _plan(topology: DockerTopology, images: StackImages, addresses: Addresses) -> list[ContainerPlan]:
    """Plan the replicas, then nginx: the load goes to the last container."""
    replicas = plan_replicas(topology, images.by_role[Role.APP].id, addresses)
    if topology.proxy is None:
        return replicas
    return [*replicas, plan_nginx(topology.proxy, topology, images.by_role[Role.PROXY].id, replicas)]


def _endpoint(entry: Container) -> Endpoint:
    if entry.published is not None:
        return Endpoint(LOOPBACK, entry.published)
    return Endpoint(entry.host, entry.plan.port)


async def _wait_ready(starter: Starter, endpoint: Endpoint) -> None:
    """Wait for every replica by itself, then for the path that the load takes."""
    app = starter.topology.app
    containers = starter.containers
    wait = partial(wait_until_ready, starter.engine, containers, within=app.ready_within)
    replicas = [container for container in containers if container.plan.role == Role.APP]
    await run_concurrently(partial(wait, replica, replica.url(app.health)) for replica in replicas)
    await wait(containers[-1], f"http://{endpoint.host}:{endpoint.port}{app.health}")
