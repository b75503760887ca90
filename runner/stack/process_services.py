"""Services of a topology of kind `process`: commands that are started before the app, one after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.system_facts import ServiceFacts
from runner.core.units import Seconds
from runner.experiment.app import Port
from runner.experiment.service_addresses import Addresses, fill_addresses
from runner.experiment.services import Service
from runner.stack.command import Command, start
from runner.stack.diagnosis import other_holder, start_hint, title
from runner.stack.paths import printable
from runner.stack.ports import LOOPBACK, by_holder, fill_port, free_port, is_free
from runner.stack.programs import Programs
from runner.stack.protocols import ProgramResult, StackContext
from runner.stack.readiness import Check, accepts, succeeds, wait_for, wait_ready
from runner.stack.secrets import inherited_variables

NO_PORT: Final = 0
"""The port of a command that listens on none."""


async def start_service(
    name: str, service: Service, ctx: StackContext, *, cpus: Sequence[int], addresses: Addresses
) -> Command:
    """Start a service; the caller waits until it is ready.

    Args:
        name: Of the service.
        service: Its specification.
        ctx: As of the stack.
        cpus: Processors to pin it to, empty for any.
        addresses: Of the services that were started before it.

    Raises:
        EnvironmentLacks: Its command cannot be run, or its port is in use.
    """
    key = f"services.{name}"
    port = (chosen_port(service.port, f"topology.{key}.port") if service.has_port else None) or NO_PORT
    return await start(
        [fill(word, port, addresses) for word in service.command or ()],
        {variable: fill(value, port, addresses) for variable, value in service.env.items()},
        ctx,
        name=name,
        role=name,
        port=port,
        cpus=cpus,
        secrets=inherited_variables(service.env_from, os.environ, key),
        folder=working_folder(service.cwd, ctx, f"topology.{key}.cwd"),
        where=f"topology.{key}",
    )


def chosen_port(port: Port | None, key: str) -> int:
    """Return a part's own port, or a free one if it has none.

    Raises:
        EnvironmentLacks: Its own port is in use.
    """
    if port and not is_free(port):
        raise EnvironmentLacks(
            f"{key}: port {port} is already in use{by_holder(port)}",
            hint='stop that process, or write "{port}" instead of a fixed port in the command',
        )
    return port or free_port()


def fill(text: str, port: int, addresses: Addresses) -> str:
    """Return a word of a command, or the value of a variable, with ports and addresses inserted."""
    return fill_addresses(fill_port(text, port) if port else text, addresses)


def working_folder(cwd: str | None, ctx: StackContext, key: str) -> Path | None:
    """Return where a command starts, if the specification says so.

    Raises:
        EnvironmentLacks: There is no such folder.
    """
    if cwd is None:
        return None
    folder = ctx.base_dir / cwd
    if not folder.is_dir():
        raise EnvironmentLacks(
            f"{key}: there is no folder {printable(folder)}",
            hint="it is relative to the specification's folder (for an archive, to --base-dir)",
        )
    return folder.resolve()


async def wait_service_ready(
    command: Command, service: Service, programs: Programs, addresses: Addresses
) -> None:
    """Wait until a service can be used.

    Args:
        command: The service.
        service: Its specification.
        programs: Runs the program that tells whether it is ready.
        addresses: Of the services that were started so far, this one included.

    Raises:
        StackFailed: It ended, or was not ready in time.
        EnvironmentLacks: The program that tells whether it is ready cannot be run.
    """
    wait = partial(
        wait_for,
        deadline_s=service.ready_within,
        alive=command.death,
        last_output=command.output.lines,
        name=title(command),
    )
    try:
        if service.ready and service.ready.http:
            await wait_ready(f"http://{LOOPBACK}:{command.port}{service.ready.http}", **wait.keywords)
        elif check := _check(command, service, programs, addresses):
            await wait(check)
    except StackFailed as error:
        hint = await trio.to_thread.run_sync(start_hint, command, command.process.returncode, error)
        raise StackFailed(error.message, hint=hint, details=error.details) from error.__cause__
    await refuse_other_holder(command)


async def refuse_other_holder(command: Command) -> None:
    """Raise StackFailed if another process listens on the port of a command that is ready."""
    if command.port and (holder := await trio.to_thread.run_sync(other_holder, command)):
        raise StackFailed(
            f"{holder} listens on port {command.port} instead of {title(command)}",
            hint="stop that process, or use another port",
            details=command.output.lines(),
        )


def _check(command: Command, service: Service, programs: Programs, addresses: Addresses) -> Check | None:
    """Return how to tell that a service is ready; None if it need only run."""
    if service.ready is None or service.ready.command is None:
        port = service.ready.tcp if service.ready else command.port
        return accepts(LOOPBACK, port) if port else None
    argv = [fill(word, command.port, addresses) for word in service.ready.command]
    secrets = inherited_variables(service.env_from, os.environ)

    async def run(within: Seconds) -> ProgramResult:
        return await programs.run(
            argv,
            command.environment,
            within=within,
            secrets=secrets,
            folder=command.folder,
            where=f"topology.services.{command.name}.ready.command: ",
        )

    return succeeds(argv, run)


def service_facts(command: Command, service: Service) -> ServiceFacts:
    """Return what the report says about a service."""
    return ServiceFacts(
        origin="started",
        command=command.argv,
        port=command.port or None,
        env_names=tuple(sorted({*service.env, *service.env_from})),
    )
