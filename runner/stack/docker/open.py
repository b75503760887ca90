"""Brings a topology of containers up, waits until every part of it answers, and removes it.

Read `open_stack` first: it is the table of contents of this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.facts import Endpoint, Role
from runner.core.units import Seconds
from runner.experiment.model import DockerTopology
from runner.stack.cpu_affinity import check_cpus
from runner.stack.docker.build import Built, build_image
from runner.stack.docker.cleanup import sweep, take_down
from runner.stack.docker.containers import NGINX_ENV, Plan, plan_nginx, plan_replicas
from runner.stack.docker.description import describe, metrics_urls, status_urls
from runner.stack.docker.engine import Engine, EngineGone, EngineRefused, connect, together
from runner.stack.docker.images import Image, Supplier, source_from_environment
from runner.stack.docker.processes import find_subjects
from runner.stack.docker.stack import DockerStack, Started, last_lines, post_mortem
from runner.stack.docker.start import create_network, start_all
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import KEPT_LINES, Stack, StackContext
from runner.stack.readiness import wait_ready

NGINX_IMAGE: Final = "nginx:1.28-alpine"
_TAKE_DOWN_S: Final[Seconds] = 10.0
_LOGS_S: Final[Seconds] = 3.0


@dataclass(slots=True)
class _Parts:
    """What the containers are made of."""

    images: dict[Role, Image]
    built: Built | None = None


@asynccontextmanager
async def open_stack(topology: DockerTopology, context: StackContext) -> AsyncIterator[Stack]:
    """See `runner.stack.docker.open_docker`."""
    check_cpus(topology.cpus)
    engine = await connect()
    containers: Sequence[Started] = ()
    try:
        await _refuse_rootless(engine)
        await _sweep(engine, context)
        context.guard.docker(engine.base_url)
        parts = await _obtain_parts(engine, topology, context)
        plans = _plan(topology, parts)
        _keep_configuration(plans, context)
        network = await create_network(engine, context.run_id) if topology.network == "bridge" else None
        containers = await start_all(engine, plans, run_id=context.run_id, network=network)
        for container in containers:
            context.guard.process(container.pid)  # should the engine die, they would outlive it
        endpoint = _endpoint(containers[-1])
        await _wait_ready(engine, topology, containers, endpoint)
        yield DockerStack(
            engine=engine,
            run_id=context.run_id,
            containers=containers,
            endpoint=endpoint,
            subjects=find_subjects(containers),
            description=await describe(engine, topology, parts.images, parts.built, containers),
            metrics_urls=metrics_urls(topology, containers),
            status_urls=status_urls(containers),
        )
    finally:
        await _leave(engine, context, containers)


async def _leave(engine: Engine, context: StackContext, containers: Sequence[Started]) -> None:
    await _keep_logs(engine, context, containers)
    left = await take_down(engine, context.run_id, within=_TAKE_DOWN_S)
    engine.close()
    if left:  # the watchdog goes on trying
        context.say(left)
        return
    context.guard.docker_emptied(engine.base_url)
    for container in containers:
        context.guard.forget(container.pid)


def _keep_configuration(plans: Sequence[Plan], context: StackContext) -> None:
    for plan in plans:
        if configuration := plan.env.get(NGINX_ENV):
            context.keep_rendered(f"{plan.name}.conf", configuration.encode())


async def _keep_logs(engine: Engine, context: StackContext, containers: Sequence[Started]) -> None:
    with trio.move_on_after(_LOGS_S, shield=True):
        for container in containers:
            with suppress(EngineGone, EngineRefused):
                lines = await engine.call(last_lines, engine, container, KEPT_LINES)
                context.keep_log(container.plan.name, "".join(f"{line}\n" for line in lines).encode())


async def _refuse_rootless(engine: Engine) -> None:
    info = await engine.call(engine.api.info)
    if any("rootless" in option for option in info.get("SecurityOptions") or ()):
        raise EnvironmentLacks(
            "the Docker Engine is rootless: its containers have no address on this machine",
            hint="set DOCKER_HOST to an engine run by root, mostly unix:///var/run/docker.sock",
        )


async def _sweep(engine: Engine, context: StackContext) -> None:
    """Remove what killed runs left behind; failing to is no reason not to run."""
    try:
        removed = await sweep(engine)
    except StackFailed as failed:
        context.say(failed.message)
        return
    if removed:
        context.say(f"removed what an earlier run left behind: {', '.join(removed)}")


async def _obtain_parts(engine: Engine, topology: DockerTopology, context: StackContext) -> _Parts:
    supplier = Supplier(engine, context.guard, context.say, source_from_environment(), context.scratch)
    parts = _Parts({})

    async def obtain_app() -> None:
        app = topology.app
        if app.build is not None:
            parts.built = await build_image(supplier, app.build, context.base_dir)
            parts.images[Role.APP] = parts.built.image
        elif app.image is not None:
            parts.images[Role.APP] = await supplier.obtain(app.image)
        else:
            raise EnvironmentLacks("topology.app names neither `build` nor `image`")

    async def obtain_nginx() -> None:
        if topology.proxy is not None:
            parts.images[Role.PROXY] = await supplier.obtain(NGINX_IMAGE)

    await together([obtain_app, obtain_nginx])
    return parts


def _plan(topology: DockerTopology, parts: _Parts) -> list[Plan]:
    """The replicas, then nginx: the last one is where the load goes."""
    replicas = plan_replicas(topology, parts.images[Role.APP].id)
    if topology.proxy is None:
        return replicas
    return [*replicas, plan_nginx(topology.proxy, topology, parts.images[Role.PROXY].id, replicas)]


def _endpoint(entry: Started) -> Endpoint:
    if entry.published is not None:
        return Endpoint(LOOPBACK, entry.published)
    return Endpoint(entry.host, entry.plan.port)


async def _wait_ready(
    engine: Engine, topology: DockerTopology, containers: Sequence[Started], endpoint: Endpoint
) -> None:
    """Every replica by itself, then the way that the load will take."""
    app = topology.app

    async def answers(container: Started, url: str) -> None:
        try:
            await wait_ready(
                url, deadline_s=app.ready_within, alive=lambda: _death(container), name=container.plan.name
            )
        except StackFailed as failed:
            raise await _explained(engine, containers, container, failed) from failed

    replicas = [it for it in containers if it.plan.role is Role.APP]
    await together(partial(answers, it, it.url(app.health)) for it in replicas)
    await answers(containers[-1], f"http://{endpoint.host}:{endpoint.port}{app.health}")


def _death(container: Started) -> str | None:
    return None if container.alive else "ended"


async def _explained(
    engine: Engine, containers: Sequence[Started], container: Started, failed: StackFailed
) -> StackFailed:
    """A failed probe with the container's own last words."""
    event = await engine.call(post_mortem, engine, containers)
    if event is not None:
        return StackFailed(f"{event.message} before it was ready", details=event.log)
    log = await engine.call(last_lines, engine, container)
    return StackFailed(failed.message, hint=failed.hint, details=log)
