"""A running stack on the nodes of a swarm: where it is, what to observe, and whether it still lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.codes import Role
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.facts import Event
from runner.core.observed_facts import PlacedPart, Subject
from runner.core.system_facts import SystemDescription
from runner.core.units import Seconds
from runner.experiment.service_addresses import Addresses
from runner.stack.docker.exec import run_in_container
from runner.stack.programs import no_such_part
from runner.stack.protocols import QUOTED_LINES, ProgramResult
from runner.stack.proxy_log import READ_LINES, error_messages
from runner.stack.swarm.monitor import Monitor
from runner.stack.swarm.parts import PartTask
from runner.stack.swarm.placer import SwarmPlacer
from runner.stack.watched import WatchedServices

_THIS_MACHINE = "unix://"


@dataclass(slots=True)
class SwarmStack:
    """Implements `runner.stack.protocols.Stack`.

    Attributes:
        monitor: Has the tasks of the stack.
        addresses_here: Of services, as this host reaches them.
        addresses_inside: Of services, as the tasks reach them.
    """

    placer: SwarmPlacer
    monitor: Monitor
    endpoint: Endpoint
    description: SystemDescription
    secrets: Mapping[str, str] = field(repr=False)
    addresses_here: Addresses = field(default_factory=dict)
    addresses_inside: Addresses = field(default_factory=dict)
    watched: WatchedServices = field(default_factory=WatchedServices)
    _broken: Event | None = None

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Nothing: this machine's counters show no other machine's containers; see `placed`."""
        return ()

    @property
    def placed(self) -> tuple[PlacedPart, ...]:
        """The containers of the stack, which the agents on their nodes observe."""
        return tuple(one.observed for one in self.monitor.tasks)

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Nothing: this machine need not reach the replicas."""
        return {}

    @property
    def status_urls(self) -> Mapping[str, str]:
        """Nothing: this machine need not reach nginx."""
        return {}

    @property
    def inspect_urls(self) -> Mapping[str, str]:
        """Nothing: this machine need not reach the services."""
        return {}

    @property
    def broken(self) -> Event | None:
        """Why the stack can no longer be used, as far as `wait_broken` has noticed it."""
        return self._broken

    async def wait_broken(self) -> Event:
        """Wait until a task ends or is out of reach."""
        if self._broken is None:
            self._broken = await self.monitor.wait_broken()
        return self._broken

    async def app_output(self) -> tuple[str, ...]:
        """Return the last lines of each replica, in the order of the replicas."""
        replicas = [one for one in self.monitor.tasks if one.part.role == Role.APP]
        outputs = [await self.monitor.last_lines(replica, QUOTED_LINES) for replica in replicas]
        return tuple(line for lines in outputs for line in lines)

    async def proxy_errors(self) -> tuple[str, ...]:
        """Return the last messages of nginx, if there is one."""
        proxies = [one for one in self.monitor.tasks if one.part.role == Role.PROXY]
        outputs = [await self.monitor.last_lines(proxy, READ_LINES) for proxy in proxies]
        return error_messages(line for lines in outputs for line in lines)

    @property
    def parts(self) -> tuple[str, ...]:
        """The app and the services."""
        return tuple(self._first_of_parts)

    def addresses(self, part: str | None) -> Addresses:
        """Return the addresses of services, as they are reached from inside a part; None for this host."""
        return self.addresses_inside if part else self.addresses_here

    async def run_inside(
        self, part: str, argv: Sequence[str], *, env: Mapping[str, str], within: Seconds
    ) -> ProgramResult:
        """Run a program in a part's first task, where this machine's engine runs it.

        Raises:
            EnvironmentLacks: There is no such part, or it is on another machine.
        """
        one = self._first_of_parts.get(part)
        if one is None:
            raise no_such_part(part, self.parts)
        engine = self.placer.engine
        here = await self.placer.own_node()
        if one.node.id != here.id or not engine.base_url.startswith(_THIS_MACHINE):
            raise EnvironmentLacks(
                f"no program can be run inside {part} on {one.node.name}: in a swarm that is possible only "
                f"on the node whose engine this runner uses, {here.name}, by its socket on this machine",
                hint=f"constrain {part} to it (nodes: [node.hostname=={here.name}]), or send a request",
            )
        masked = {**self.secrets, **one.part.secrets}
        return await run_in_container(
            engine, one.task.container_id, argv, env=env, within=within, masked=masked
        )

    @property
    def _first_of_parts(self) -> Mapping[str, PartTask]:
        parts = [one for one in self.monitor.tasks if one.part.role != Role.PROXY]
        return {one.part.role: one for one in reversed(parts)}
