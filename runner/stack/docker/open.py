"""Brings a topology of containers up, waits until every part of it responds, and removes it.

Read `open_stack` first: it is the table of contents of this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import trio

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.facts import Endpoint
from runner.core.units import Seconds
from runner.cpu_affinity import check_cpus
from runner.experiment.model import DockerTopology
from runner.stack.docker.build import BuiltImage, build_image
from runner.stack.docker.cleanup import sweep, take_down
from runner.stack.docker.containers import NGINX_ENV, ContainerPlan, plan_nginx, plan_replicas
from runner.stack.docker.description import describe, metrics_urls, status_urls
from runner.stack.docker.engine import (
    Engine,
    EngineRefused,
    EngineUnavailable,
    connect,
    run_concurrently,
)
from runner.stack.docker.images import Image, Supplier, source_from_environment
from runner.stack.docker.listening import listening_hint
from runner.stack.docker.processes import find_subjects
from runner.stack.docker.responses import Info
from runner.stack.docker.stack import Container, DockerStack, last_lines, post_mortem
from runner.stack.docker.start import create_network, start_all
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import KEPT_LINES, Stack, StackContext
from runner.stack.readiness import wait_ready

NGINX_IMAGE: Final = "nginx:1.28-alpine"
_TAKE_DOWN_S: Final[Seconds] = 10.0
_LOGS_S: Final[Seconds] = 3.0


@dataclass(slots=True)
class _Images:
    """The images of the containers."""

    by_role: dict[Role, Image]
    built: BuiltImage | None = None


@asynccontextmanager
async def open_stack(topology: DockerTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Implement `runner.stack.docker.open_docker`."""
    check_cpus(topology.cpus, "topology.cpus")
    engine = await connect()
    containers: Sequence[Container] = ()
    try:
        await refuse_rootless(engine)
        await sweep_engine(engine, context)
        context.guard.docker(engine.base_url)
        images = await _obtain_images(engine, topology, context)
        plans = [replace(plan, request_secrets=context.request_secrets) for plan in _plan(topology, images)]
        _keep_configuration(plans, context)
        network = await create_network(engine, context.run_id) if topology.network == "bridge" else None
        containers = await start_all(engine, plans, run_id=context.run_id, network=network)
        for container in containers:
            context.guard.process(container.pid)  # an engine that dies leaves its containers running
        endpoint = _endpoint(containers[-1])
        await _wait_ready(engine, topology, containers, endpoint)
        yield DockerStack(
            engine=engine,
            run_id=context.run_id,
            containers=containers,
            endpoint=endpoint,
            subjects=find_subjects(containers),
            description=await describe(engine, topology, images.by_role, images.built, containers),
            metrics_urls=metrics_urls(topology, containers),
            status_urls=status_urls(containers),
        )
    finally:
        await _leave(engine, context, containers)


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


def _keep_configuration(plans: Sequence[ContainerPlan], context: StackContext) -> None:
    for plan in plans:
        if configuration := plan.env.get(NGINX_ENV):
            context.keep_rendered(f"{plan.name}.conf", configuration.encode())


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


async def _obtain_images(engine: Engine, topology: DockerTopology, context: StackContext) -> _Images:
    supplier = Supplier(engine, context.guard, context.say, source_from_environment(), context.scratch)
    images = _Images({})

    async def obtain_app() -> None:
        app = topology.app
        if app.build is not None:
            images.built = await build_image(supplier, app.build, context.base_dir)
            images.by_role[Role.APP] = images.built.image
        elif app.image is not None:
            images.by_role[Role.APP] = await supplier.obtain(app.image)
        else:
            raise EnvironmentLacks("topology.app names neither `build` nor `image`")

    async def obtain_nginx() -> None:
        if topology.proxy is not None:
            images.by_role[Role.PROXY] = await supplier.obtain(NGINX_IMAGE)

    await run_concurrently([obtain_app, obtain_nginx])
    return images


def _plan(topology: DockerTopology, images: _Images) -> list[ContainerPlan]:
    """Plan the replicas, then nginx: the load goes to the last container."""
    replicas = plan_replicas(topology, images.by_role[Role.APP].id)
    if topology.proxy is None:
        return replicas
    return [*replicas, plan_nginx(topology.proxy, topology, images.by_role[Role.PROXY].id, replicas)]


def _endpoint(entry: Container) -> Endpoint:
    if entry.published is not None:
        return Endpoint(LOOPBACK, entry.published)
    return Endpoint(entry.host, entry.plan.port)


async def _wait_ready(
    engine: Engine, topology: DockerTopology, containers: Sequence[Container], endpoint: Endpoint
) -> None:
    """Wait for every replica by itself, then for the path that the load takes."""
    app = topology.app

    async def wait(container: Container, url: str) -> None:
        try:
            await wait_ready(
                url, deadline_s=app.ready_within, alive=lambda: _death(container), name=container.plan.name
            )
        except StackFailed as failed:
            raise await _explained(engine, containers, container, failed) from failed

    replicas = [container for container in containers if container.plan.role == Role.APP]
    await run_concurrently(partial(wait, replica, replica.url(app.health)) for replica in replicas)
    await wait(containers[-1], f"http://{endpoint.host}:{endpoint.port}{app.health}")


def _death(container: Container) -> str | None:
    return None if container.alive else "ended"


async def _explained(
    engine: Engine, containers: Sequence[Container], container: Container, failed: StackFailed
) -> StackFailed:
    """Return the failure with the container's own last output."""
    event = await engine.call(post_mortem, engine, containers)
    if event is not None:
        return StackFailed(f"{event.message} before it was ready", details=event.log)
    log = await engine.call(last_lines, engine, container)
    hint = listening_hint(container) or failed.hint
    return StackFailed(failed.message, hint=hint, details=log)
