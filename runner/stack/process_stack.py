"""The running processes of a stack, and what other packages may know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import trio

from runner.core.codes import Role, is_service
from runner.core.endpoint import Endpoint
from runner.core.facts import Event
from runner.core.observed_facts import Subject
from runner.core.system_facts import SystemDescription
from runner.core.units import Seconds
from runner.experiment.service_addresses import Addresses
from runner.stack.command import Command
from runner.stack.diagnosis import death_event
from runner.stack.ports import LOOPBACK
from runner.stack.programs import Programs, no_such_part
from runner.stack.protocols import QUOTED_LINES, ProgramResult
from runner.stack.proxy_log import READ_LINES, error_messages
from runner.stack.watched import WatchedServices


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

    async def proxy_errors(self) -> tuple[str, ...]:
        """Return the last messages of nginx, if there is one."""
        proxies = [command for command in self.commands if command.role == Role.PROXY]
        return error_messages(line for proxy in proxies for line in proxy.output.lines(READ_LINES))

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

    def addresses(self, part: str | None) -> Addresses:
        """Return the addresses of the services; all parts are on this host."""
        del part
        services = (command for command in self.commands if is_service(command.role))
        own = {command.name: (LOOPBACK, command.port or None) for command in services}
        return {**own, **self.watched.addresses}

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


async def _cancel_at_death(command: Command, scope: trio.CancelScope) -> None:
    await command.process.wait()
    scope.cancel()
