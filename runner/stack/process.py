"""Topology `process`: commands started on this host, and ended with all their descendants.

A command runs in the directory that the runner was started in, as it would from a shell, or in the one
that ``--base-dir`` names, with ``{port}`` replaced.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import trio

from runner.core.codes import Role, is_service
from runner.core.endpoint import Endpoint
from runner.core.errors import StackFailed
from runner.core.facts import Event
from runner.core.observed_facts import Subject
from runner.core.system_facts import ServiceFacts, SystemDescription
from runner.core.units import Seconds
from runner.cpu_affinity import check_cpus
from runner.experiment.model import App, ProcessTopology
from runner.experiment.service_addresses import Addresses
from runner.stack import reaper
from runner.stack.command import Command, start
from runner.stack.control_group import create_group, remove_group
from runner.stack.diagnosis import death_event, start_hint, title
from runner.stack.nginx_process import NginxProcess, start_nginx
from runner.stack.ports import LOOPBACK
from runner.stack.process_services import (
    chosen_port,
    fill,
    refuse_other_holder,
    service_facts,
    start_service,
    wait_service_ready,
    working_folder,
)
from runner.stack.programs import Programs, no_such_part
from runner.stack.protocols import KEPT_LINES, QUOTED_LINES, ProgramResult, StackContext
from runner.stack.readiness import wait_ready
from runner.stack.secrets import inherited_variables, inspect_secrets
from runner.stack.watched import WatchedServices, find_watched

_GRACE_S: Final = 3.0


@dataclass(slots=True)
class ProcessStack:
    """Running processes of this host; implements `runner.stack.protocols.Stack`.

    Attributes:
        commands: The services, the replicas in order, then nginx if there is one.
        metrics_urls: Replica to the URL of its metrics; empty without ``app.metrics``.
        status_urls: Nginx to its stub_status; empty without a proxy.
        programs: Runs programs in the environment of a command.
        inspect_urls: Service to the URL of its own statistics.
        watched: The services that ran already.
    """

    commands: tuple[Command, ...]
    endpoint: Endpoint
    description: SystemDescription
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    programs: Programs
    inspect_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    watched: WatchedServices = field(default_factory=WatchedServices)
    _broken: Event | None = field(default=None, init=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Each watched process and each command, with all its descendants."""
        return (*self.watched.subjects, *(command.subject for command in self.commands))

    @property
    def broken(self) -> Event | None:
        """Which command died first, with its last output."""
        if self._broken is None:
            dead = next((command for command in self.commands if command.death()), None)
            self._broken = death_event(dead) if dead else None
        return self._broken

    async def app_output(self) -> tuple[str, ...]:
        """Return the last lines of each replica."""
        replicas = [command for command in self.commands if command.role == Role.APP]
        return tuple(line for replica in replicas for line in replica.output.lines(QUOTED_LINES))

    async def wait_broken(self) -> Event:
        """Wait until one of the commands dies."""
        async with trio.open_nursery() as nursery:
            for command in self.commands:
                nursery.start_soon(_cancel_at_death, command, nursery.cancel_scope)
        event = self.broken
        assert event is not None
        return event

    @property
    def parts(self) -> tuple[str, ...]:
        """The app and the services."""
        return tuple(self._first_of_parts)

    async def run_inside(
        self, part: str, argv: Sequence[str], *, env: Mapping[str, str], within: Seconds
    ) -> ProgramResult:
        """Run a program in the environment of a part's first process, where that was started."""
        if part not in self._first_of_parts:
            raise no_such_part(part, self.parts)
        first = self._first_of_parts[part]
        environment = {**first.environment, **env}
        return await self.programs.run(
            argv, environment, within=within, secrets=self.secrets, folder=first.folder
        )

    @property
    def _first_of_parts(self) -> Mapping[str, Command]:
        return {command.role: command for command in reversed(self.commands) if command.role != Role.PROXY}


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
        yield _stack(topology, commands, nginx, programs, watched)
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
            _url(command) + app.health,
            deadline_s=app.ready_within,
            alive=command.death,
            last_output=command.output.lines,
            name=title(command),
        )
    except StackFailed as error:
        hint = await trio.to_thread.run_sync(start_hint, command, command.process.returncode, error)
        raise StackFailed(error.message, hint=hint, details=error.details) from error.__cause__
    await refuse_other_holder(command)


def _stack(
    topology: ProcessTopology,
    commands: Sequence[Command],
    nginx: NginxProcess | None,
    programs: Programs,
    watched: WatchedServices,
) -> ProcessStack:
    app = topology.app
    replicas = [command for command in commands if command.role == Role.APP]
    description = SystemDescription(
        kind=topology.kind,
        command=replicas[0].argv,
        replicas=len(replicas),
        urls=tuple(_url(command) for command in replicas),
        health=app.health,
        env_names=tuple(sorted({*app.env, *app.env_from})),  # the values may be secrets
        cpus=topology.cpus or None,
        proxy=nginx.description if nginx else None,
        services=_services(topology, commands) | watched.facts or None,
    )
    inspect_urls = _inspect_urls(topology, commands) | watched.inspect_urls
    return ProcessStack(
        commands=tuple(commands),
        endpoint=Endpoint(LOOPBACK, commands[-1].port),
        description=description,
        metrics_urls={replica.name: _url(replica) + app.metrics for replica in replicas}
        if app.metrics
        else {},
        status_urls={nginx.command.name: nginx.status_url} if nginx else {},
        secrets=_secrets(topology) | inspect_secrets(inspect_urls),
        programs=programs,
        inspect_urls=inspect_urls,
        watched=watched,
    )


def _inspect_urls(topology: ProcessTopology, commands: Sequence[Command]) -> dict[str, str]:
    ports = {command.name: command.port for command in commands if is_service(command.role)}
    addresses = {name: (LOOPBACK, port or None) for name, port in ports.items()}
    urls = {name: service.inspect for name, service in topology.services.items()}
    return {name: fill(url, ports[name], addresses) for name, url in urls.items() if url is not None}


def _services(topology: ProcessTopology, commands: Sequence[Command]) -> dict[str, ServiceFacts]:
    return {
        command.name: service_facts(command, topology.services[command.name])
        for command in commands
        if is_service(command.role)
    }


def _secrets(topology: ProcessTopology) -> dict[str, str]:
    services = (service.env_from for service in topology.services.values())
    names = dict.fromkeys(chain(topology.app.env_from, *services))
    return inherited_variables(names, os.environ)


def _url(command: Command) -> str:
    return f"http://{LOOPBACK}:{command.port}"


async def _cancel_at_death(command: Command, scope: trio.CancelScope) -> None:
    await command.process.wait()
    scope.cancel()


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
