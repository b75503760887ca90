"""Brings the services of a compose file up as a project of this run, and removes it.

Read `open_stack` first: it is the table of contents of this package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import trio
from msgspec import structs

from runner.core.codes import Role, RoleName
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, LoadproofError, StackFailed
from runner.core.units import Seconds
from runner.experiment.compose import role_names
from runner.experiment.compose_topology import ComposeTopology
from runner.stack.compose.checks import check_services, environment_secrets, refuse_clashes
from runner.stack.compose.config import Config
from runner.stack.compose.containers import Details, addresses_of, as_parts, find_containers
from runner.stack.compose.description import describe
from runner.stack.compose.images import Images, obtain_images
from runner.stack.compose.project import Project, new_project
from runner.stack.compose.readiness import explain_start, wait_target, wait_up
from runner.stack.compose.tool import find_tool
from runner.stack.docker.cleanup import take_down
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable, connect, run_concurrently
from runner.stack.docker.images import Supplier
from runner.stack.docker.open import refuse_rootless, sweep_engine
from runner.stack.docker.processes import find_subjects
from runner.stack.docker.stack import Container, DockerStack, log_lines
from runner.stack.paths import read_regular
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import KEPT_LINES, Stack, StackContext
from runner.stack.watched import WatchedServices, find_watched

_LOOKS: Final = 5
_STOP_S: Final = 2
_STOPS_WITHIN_S: Final[Seconds] = 5.0
_TAKE_DOWN_S: Final[Seconds] = 15.0
_UNSETTLED_S: Final[Seconds] = 1.0
_LOGS_S: Final[Seconds] = 3.0


@dataclass(slots=True)
class _Plan:
    """What to start."""

    project: Project
    config: Config
    images: Images
    roles: dict[str, RoleName]
    secrets: dict[str, str]


@asynccontextmanager
async def open_stack(topology: ComposeTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Implement `runner.stack.compose.open_compose`."""
    watched = await find_watched(topology.watch, context.run_id)
    engine = await connect()
    parts: list[tuple[Details, Container]] = []
    settled = True
    try:
        await refuse_rootless(engine)
        await sweep_engine(engine, context)
        plan = await _plan(engine, topology, context)
        context.guard.docker(engine.base_url)
        await _start(engine, plan, context)
        parts = await _find_parts(engine, plan, context)
        await _wait_target(engine, plan, parts)
        parts = await _find_parts(engine, plan, context)  # a task may have ended, or a service failed, since
        for _, container in parts:
            context.guard.process(container.pid)  # an engine that dies leaves its containers running
        yield await _stack(engine, plan, parts, context, watched)
    except BaseException as error:
        settled = bool(parts) or isinstance(error, LoadproofError)
        raise
    finally:
        await _leave(engine, context, [container for _, container in parts], settled=settled)


async def _plan(engine: Engine, topology: ComposeTopology, context: StackContext) -> _Plan:
    """Check everything that can be checked before anything is started."""
    tool = await find_tool(context.guard, engine.base_url, context.request_secrets)
    project = new_project(tool, topology, context)
    config = await project.config()
    check_services(topology, config)
    await refuse_clashes(engine, config)
    texts = {name: read_regular(context.base_dir / name) for name in topology.files}
    secrets = environment_secrets(config, texts)
    project = replace(project, tool=replace(tool, secrets={**context.request_secrets, **secrets}))
    supplier = Supplier.of(engine, context)
    images = await obtain_images(supplier, config)
    roles = role_names(config.services, topology.roles, topology.target.service, topology.watch)
    return _Plan(project, config, images, roles, secrets)


async def _start(engine: Engine, plan: _Plan, context: StackContext) -> None:
    """Build, create and start the containers."""
    project, topology = plan.project, plan.project.topology
    project.write_override(plan.config, plan.images.replaced, plan.images.replaced_bases)
    context.keep_rendered("compose.override.yml", project.override.read_bytes())
    if built := [name for name, service in plan.config.services.items() if service.build]:
        context.say(f"building {', '.join(built)}")
        await project.build()
    finished = await project.start()
    for warning in finished.warnings:
        context.say(f"Compose warns: {warning}")
    if finished.status:
        masked = {**context.request_secrets, **plan.secrets}
        raise await explain_start(engine, context.run_id, topology, finished, masked)


async def _find_parts(engine: Engine, plan: _Plan, context: StackContext) -> list[tuple[Details, Container]]:
    """Wait until all containers are up, and return those that go on running.

    Raises:
        StackFailed: One ended, or is not ready in time.
        EnvironmentLacks: Their processes are not visible on this machine.
    """
    masked = {**context.request_secrets, **plan.secrets}
    for _ in range(_LOOKS):  # a task may end, or a container start again, between two looks
        found = await wait_up(engine, context.run_id, plan.project.topology, masked)
        parts = _parts(found, plan, context)
        if all(container.alive for _, container in parts):
            return parts
    dead = [item.service for item, container in parts if not container.alive]
    raise EnvironmentLacks(
        f"the processes of {', '.join(dead)} are not visible on this machine, or end again and again",
        hint="the Docker Engine runs in a virtual machine, or this runner in a container: run both "
        "directly on this machine, or the runner's container with `docker run --pid host`, because "
        "containers are observed through this machine's own counters",
    )


def _parts(found: Sequence[Details], plan: _Plan, context: StackContext) -> list[tuple[Details, Container]]:
    topology = plan.project.topology
    parts = as_parts(
        found,
        plan.roles,
        target=topology.target.service,
        port=topology.target.port,
        publish=topology.publish,
        secrets=plan.secrets,
    )
    return [
        (item, replace(one, plan=replace(one.plan, request_secrets=context.request_secrets)))
        for item, one in parts
    ]


def _targets(plan: _Plan, parts: Sequence[tuple[Details, Container]]) -> list[Container]:
    return [container for item, container in parts if item.service == plan.project.topology.target.service]


async def _wait_target(engine: Engine, plan: _Plan, parts: Sequence[tuple[Details, Container]]) -> None:
    """Wait until the target responds, also on the path that the load takes."""
    topology, targets = plan.project.topology, _targets(plan, parts)
    endpoint = _endpoint(targets, topology.target.port)
    published = (endpoint.host, endpoint.port) if endpoint.port == targets[0].published else None
    await wait_target(engine, topology, targets, published)


async def _stack(
    engine: Engine,
    plan: _Plan,
    parts: Sequence[tuple[Details, Container]],
    context: StackContext,
    watched: WatchedServices,
) -> DockerStack:
    topology = plan.project.topology
    containers = tuple(container for _, container in parts)
    targets = _targets(plan, parts)
    endpoint = _endpoint(targets, topology.target.port)
    found = [item for item, _ in parts]
    description = await describe(
        engine,
        topology,
        plan.config,
        plan.images,
        found,
        plan.roles,
        base_dir=context.base_dir.absolute(),
        published=endpoint.port == targets[0].published,
    )
    services = {**(description.services or {}), **watched.facts}
    return DockerStack(
        engine=engine,
        run_id=context.run_id,
        containers=containers,
        endpoint=endpoint,
        own_subjects=find_subjects(containers),
        description=structs.replace(description, services=services or None),
        metrics_urls={},
        status_urls={},
        inspect_urls=watched.inspect_urls,
        watched=watched,
        addresses_here=addresses_of(parts, inside=False),
        addresses_inside=addresses_of(parts, inside=True),
        other_names={item.service: it.plan.role for item, it in parts if it.plan.role != Role.PROXY},
    )


def _endpoint(targets: Sequence[Container], port: int) -> Endpoint:
    """Return where the load goes: all containers of the target in turn, or the only one.

    Raises:
        StackFailed: It has no address.
    """
    if not all(target.host for target in targets):
        raise StackFailed(
            f"{targets[0].plan.name} has no address on this machine, so nothing can connect to port {port}",
            hint="give the service a network of its own in the compose file",
        )
    if len(targets) > 1:
        hosts = tuple(target.host for target in targets)
        return Endpoint(hosts[0], port, addresses=hosts)
    (target,) = targets
    return Endpoint(LOOPBACK, target.published) if target.published else Endpoint(target.host, port)


async def _leave(
    engine: Engine, context: StackContext, containers: Sequence[Container], *, settled: bool
) -> None:
    """Stop all containers at once, and remove them with their networks and volumes; shielded and bounded.

    Unless it is `settled` that Compose has ended by itself, the engine may still be creating what Compose
    requested: then the search is repeated, and the watchdog goes on with it after this run.
    """
    await _stop(engine, context.run_id)
    await _keep_logs(engine, context, containers)
    left = await take_down(engine, context.run_id, within=_TAKE_DOWN_S)
    if not settled:
        with trio.CancelScope(shield=True):
            await trio.sleep(_UNSETTLED_S)
        left = await take_down(engine, context.run_id, within=_TAKE_DOWN_S)
    engine.close()
    if left:  # the watchdog keeps trying
        context.say(left)
        return
    if settled:
        context.guard.docker_emptied(engine.base_url)
    for container in containers:
        context.guard.forget(container.pid)


async def _stop(engine: Engine, run_id: str) -> None:
    """Let the containers end by themselves: an external volume of the user may hold their data."""

    async def stop(item: Details) -> None:
        with suppress(EngineRefused):
            await engine.call(partial(engine.api.stop, item.id, timeout=_STOP_S))

    with trio.move_on_after(_STOPS_WITHIN_S, shield=True), suppress(EngineUnavailable, EngineRefused):
        running = [item for item in await find_containers(engine, run_id) if item.state.running]
        await run_concurrently(partial(stop, item) for item in running)


async def _keep_logs(engine: Engine, context: StackContext, containers: Sequence[Container]) -> None:
    with trio.move_on_after(_LOGS_S, shield=True):
        for container in containers:
            with suppress(EngineUnavailable, EngineRefused):
                masked = {**container.plan.secrets, **container.plan.request_secrets}
                lines = await engine.call(log_lines, engine, container.id, masked, KEPT_LINES)
                context.keep_log(container.plan.name, "".join(f"{line}\n" for line in lines).encode())
