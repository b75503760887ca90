"""Topology `process`: commands started on this host, and ended with all their descendants.

A command runs in the directory that the runner was started in, as it would from a shell, or in the one
that ``--base-dir`` names, with ``{port}`` replaced.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from runner.core.codes import Role
from runner.core.errors import StackFailed
from runner.cpu_affinity import check_cpus
from runner.experiment.model import App, ProcessTopology
from runner.experiment.service_addresses import Addresses
from runner.stack import reaper
from runner.stack.command import Command, start
from runner.stack.control_group import create_group, remove_group
from runner.stack.diagnosis import start_hint, title
from runner.stack.nginx_process import NginxProcess, start_nginx
from runner.stack.ports import LOOPBACK
from runner.stack.process_description import command_url, described_stack
from runner.stack.process_services import (
    chosen_port,
    fill,
    refuse_other_holder,
    start_service,
    wait_service_ready,
    working_folder,
)
from runner.stack.process_stack import ProcessStack
from runner.stack.programs import Programs
from runner.stack.protocols import KEPT_LINES, StackContext
from runner.stack.readiness import wait_ready
from runner.stack.secrets import inherited_variables
from runner.stack.watched import find_watched

_GRACE_S: Final = 3.0


@asynccontextmanager
async def open_process(topology: ProcessTopology, ctx: StackContext) -> AsyncIterator[ProcessStack]:
    """Start the processes, and end them and all their descendants on leaving.

    Raises:
        EnvironmentLacks: The command cannot be run, or its port is in use.
        StackFailed: It ended, or its health URL did not respond in time.
    """
    check_cpus(topology.cpus, "topology.cpus")
    watched = await find_watched(topology.watch, ctx.run_id)
    commands: list[Command] = []
    programs = Programs(ctx)
    try:
        addresses = await _start_services(topology, programs, commands)
        nginx = await _start_app(topology, ctx, commands, addresses)
        _refuse_dead(commands)
        yield described_stack(topology, commands, nginx, programs, watched)
    finally:
        with trio.CancelScope(shield=True):
            await programs.close()
            await _take_down(commands, ctx)


def _refuse_dead(commands: Sequence[Command]) -> None:
    """Raise StackFailed if a command ended meanwhile, such as a service without a port."""
    for command in commands:
        if death := command.death():
            raise StackFailed(f"{title(command)} {death} at its start", details=command.output.lines())


async def _start_services(
    topology: ProcessTopology, programs: Programs, commands: list[Command]
) -> dict[str, tuple[str, int | None]]:
    """Start the services one after another, each when the one before is ready; return their addresses."""
    addresses: dict[str, tuple[str, int | None]] = {}
    ctx = programs.ctx
    for name, service in topology.services.items():
        ctx.say(f"starting the service {name}")
        command = await start_service(name, service, ctx, cpus=topology.cpus, addresses=addresses)
        commands.append(command)
        addresses[name] = (LOOPBACK, command.port or None)
        await wait_service_ready(command, service, programs, addresses)
    return addresses


async def _start_app(
    topology: ProcessTopology, ctx: StackContext, commands: list[Command], addresses: Addresses
) -> NginxProcess | None:
    """Start the replicas, and nginx in front of them if there is a proxy."""
    app, replicas = topology.app, list[Command]()
    for number in range(1, topology.replicas + 1):
        name = "app" if topology.replicas == 1 else f"app-{number}"
        replicas.append(await _start_replica(app, ctx, name, topology.cpus, addresses))
        commands.append(replicas[-1])
    for command in replicas:
        await _wait_up(command, app)
    if topology.proxy is None:
        return None
    ports = [command.port for command in replicas]
    nginx = await start_nginx(topology.proxy, ports, ctx, cpus=topology.cpus)
    commands.append(nginx.command)
    await _wait_up(nginx.command, app)
    return nginx


async def _start_replica(
    app: App, ctx: StackContext, name: str, cpus: Sequence[int], addresses: Addresses
) -> Command:
    port = chosen_port(app.port, "topology.app.port")
    return await start(
        [fill(word, port, addresses) for word in app.command or ()],
        {key: fill(value, port, addresses) for key, value in app.env.items()},
        ctx,
        name=name,
        role=Role.APP,
        port=port,
        cpus=cpus,
        secrets=inherited_variables(app.env_from, os.environ),
        folder=working_folder(app.cwd, ctx, "topology.app.cwd"),
    )


async def _wait_up(command: Command, app: App) -> None:
    try:
        await wait_ready(
            command_url(command) + app.health,
            deadline_s=app.ready_within,
            alive=command.death,
            last_output=command.output.lines,
            name=title(command),
        )
    except StackFailed as error:
        hint = await trio.to_thread.run_sync(start_hint, command, command.process.returncode, error)
        raise StackFailed(error.message, hint=hint, details=error.details) from error.__cause__
    await refuse_other_holder(command)


async def _take_down(commands: Sequence[Command], ctx: StackContext) -> None:
    """End every process of this run, however far it is from the command that it descends from."""
    roots = {pid: started for command in commands for pid, started in command.roots.items()}
    if not await trio.to_thread.run_sync(_end_processes, ctx.run_id, roots):
        ctx.say("some processes of the stack could not be ended; `runner clean` tries again")
    for command in commands:
        with trio.move_on_after(1):
            await command.process.close()
            ctx.guard.forget(command.pid)
            ctx.guard.forget(command.process.parent.pid)
        lines = command.output.lines(KEPT_LINES)
        command.output.close()
        ctx.keep_log(command.name, "".join(f"{line}\n" for line in lines).encode())


def _end_processes(run_id: str, roots: Mapping[int, int]) -> bool:
    """End a run's processes and remove its control groups; return whether no process is left."""
    group = create_group(run_id)
    ended = reaper.end(run_id, roots, grace_s=_GRACE_S, group=group)
    remove_group(group)
    return ended
