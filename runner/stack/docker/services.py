"""Services in containers: started before the app, one after another, each when the one before is ready."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

import trio

from runner.core.codes import is_service
from runner.core.errors import EnvironmentLacks
from runner.core.system_facts import BuildFacts, LimitFacts, ServiceFacts
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.experiment.model import DockerTopology
from runner.experiment.service_addresses import Addresses, fill_addresses
from runner.experiment.services import Service
from runner.stack.docker.build import BuiltImage
from runner.stack.docker.containers import ContainerPlan, filled
from runner.stack.docker.context import mount_digest
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.exec import run_in_container
from runner.stack.docker.images import Image
from runner.stack.docker.readiness import wait_until_ready
from runner.stack.docker.stack import Container
from runner.stack.docker.start import Starter
from runner.stack.paths import printable
from runner.stack.ports import LOOPBACK
from runner.stack.protocols import ProgramResult, StackContext
from runner.stack.readiness import Check, accepts, succeeds
from runner.stack.secrets import inherited_variables

NO_PORT: Final = 0
"""The port of a service that listens on none."""


async def start_services(starter: Starter) -> dict[str, tuple[str, int | None]]:
    """Start the services one after another, each when the one before is ready; return their addresses."""
    addresses: dict[str, tuple[str, int | None]] = {}
    topology, context = starter.topology, starter.context
    for name, service in topology.services.items():
        context.say(f"starting the service {name}")
        image = starter.images.by_role[name].id
        await starter.start([_plan(name, topology, image, context, addresses)])
        container = starter.containers[-1]
        addresses[name] = _address(container)
        ready = _ready(starter.engine, container, service, addresses)
        if ready is not None:
            wait = partial(wait_until_ready, starter.engine, starter.containers, within=service.ready_within)
            await wait(container, ready)
    return addresses


def addresses_here(starter: Starter) -> dict[str, tuple[str, int | None]]:
    """Return the addresses of the services as seen from this machine."""
    services = (one for one in starter.containers if is_service(one.plan.role))
    return {one.plan.name: (one.host, one.plan.port or None) for one in services}


def inspect_urls(starter: Starter) -> dict[str, str]:
    """Return the URL of each service's own statistics, with its address as seen from this machine."""
    services, addresses = starter.topology.services, addresses_here(starter)
    return {
        name: fill_addresses(service.inspect, addresses)
        for name, service in services.items()
        if service.inspect
    }


def _plan(
    name: str, topology: DockerTopology, image: str, context: StackContext, addresses: Addresses
) -> ContainerPlan:
    """Plan the container of a service.

    Args:
        name: Of the service.
        topology: Has the service.
        image: The image's id.
        context: As of the stack.
        addresses: Of the services that run already.

    Raises:
        EnvironmentLacks: A variable is not set, or a file does not exist.
    """
    service = topology.services[name]
    mounted = _mounted_files(name, service, context.base_dir)
    fill = partial(filled, port=service.port, addresses=addresses)
    return ContainerPlan(
        name=name,
        role=name,
        image=image,
        port=service.port or NO_PORT,
        env={key: fill(value) for key, value in service.env.items()},
        secrets=inherited_variables(service.env_from, os.environ, f"services.{name}"),
        request_secrets=context.request_secrets,
        command=tuple(map(fill, service.command or ())) or None,
        cpus=service.cpus,
        memory_bytes=service.memory,
        on_cpus=topology.cpus,
        folder=service.cwd,
        files={path: fill(inside) for path, inside in mounted.items()},
    )


def _address(container: Container) -> tuple[str, int | None]:
    """Return under which host and port other containers of the stack reach a service."""
    host = LOOPBACK if container.host == LOOPBACK else container.plan.name
    return host, container.plan.port or None


def _mounted_files(name: str, service: Service, base_dir: Path) -> dict[str, str]:
    """Return path on this machine to path in the container, of what is mounted.

    Raises:
        EnvironmentLacks: One does not exist, or a link leads it out of the specification's folder.
    """
    root = base_dir.resolve()
    return {
        str(_existing(root, path, f"topology.services.{name}.files")): inside
        for path, inside in service.files.items()
    }


def _existing(root: Path, path: str, key: str) -> Path:
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise EnvironmentLacks(
            f"{key}: {path} is a link out of the folder {printable(root)}", hint="copy what it leads to there"
        )
    if not (file.is_file() or file.is_dir()):
        raise EnvironmentLacks(
            f"{key}: there is no file or folder {printable(root / path)}",
            hint="it is relative to the specification's folder (for an archive, to --base-dir)",
        )
    return file


def _ready(
    engine: Engine, container: Container, service: Service, addresses: Addresses
) -> Check | str | None:
    """Return how to tell that a service is ready.

    Args:
        engine: Runs it.
        container: It.
        service: Its specification.
        addresses: Of the services that run, this one included.

    Returns:
        A check, the URL that has to respond, or None if the service need only run.
    """
    ready = service.ready
    if ready and ready.http:
        return container.url(ready.http)
    if ready is None or ready.command is None:
        port = ready.tcp if ready else container.plan.port
        return accepts(container.host, port) if port else None
    argv = [filled(word, service.port, addresses) for word in ready.command]
    return succeeds(argv, partial(_run, engine, container, argv))


async def _run(engine: Engine, container: Container, argv: list[str], within: Seconds) -> ProgramResult:
    masked = {**container.plan.secrets, **container.plan.request_secrets}
    try:
        return await run_in_container(engine, container.id, argv, env={}, within=within, masked=masked)
    except EngineRefused:
        if container.alive:
            raise
        await trio.sleep_forever()  # that the container ended is noticed elsewhere
        raise
    except EnvironmentLacks as error:
        key = f"topology.services.{container.plan.name}.ready.command"
        raise EnvironmentLacks(f"{key}: {error.message}", hint=error.hint, details=error.details) from None


async def describe_service(
    container: Container, service: Service, image: Image, built: BuiltImage | None, base_dir: Path
) -> ServiceFacts:
    """Return what the report and the lock say about a service."""
    base = built.base.facts if built and built.base else None
    digests = {path: await trio.to_thread.run_sync(mount_digest, base_dir / path) for path in service.files}
    return ServiceFacts(
        origin="started",
        command=container.plan.command,
        image=image.facts,
        port=service.port,
        limits=LimitFacts(service.cpus, service.memory and service.memory / BYTES_PER_MIB),
        env_names=tuple(sorted({*service.env, *service.env_from})),
        build=BuildFacts(folder=service.build, content=built.content, base=base) if built else None,
        files=digests or None,
    )
