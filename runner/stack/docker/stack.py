"""A running stack of containers: where it is, what to observe, and whether it still lives."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from runner.core.codes import Role
from runner.core.endpoint import Endpoint
from runner.core.facts import Event
from runner.core.masking import mask_bytes, without_escapes
from runner.core.observed_facts import Subject
from runner.core.system_facts import SystemDescription
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.experiment.service_addresses import Addresses
from runner.stack.docker import labels
from runner.stack.docker.containers import ContainerPlan
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable, call_sdk, read_sdk
from runner.stack.docker.events import subscribe
from runner.stack.docker.exec import run_in_container
from runner.stack.docker.responses import ContainerDetails, ContainerEvent
from runner.stack.exit_status import describe_exit
from runner.stack.output import printable
from runner.stack.programs import no_such_part
from runner.stack.protocols import QUOTED_LINES, ProgramResult
from runner.stack.proxy_log import READ_LINES, error_messages
from runner.stack.reaper import live_start_ticks
from runner.stack.secrets import inspect_secrets
from runner.stack.watched import WatchedServices

_LOG_LINES: Final = 20
_ENGINE_NOTICES_WITHIN_S: Final[Seconds] = 1.0
_RETRY_INTERVAL_S: Final[Seconds] = 0.02


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started.

    Attributes:
        plan: How it was created.
        id: Its id at the engine.
        pid: Its first process, as this machine sees it.
        started: That process's start time, which identifies it together with the pid.
        host: Its address as seen from this machine.
        published: Its port on 127.0.0.1 of this machine, None when it has none.
    """

    plan: ContainerPlan
    id: str
    pid: int
    started: int | None
    host: str
    published: int | None

    @property
    def alive(self) -> bool:
        """Whether its first process still runs."""
        return self.started is not None and live_start_ticks(self.pid) == self.started

    def url(self, path: str) -> str:
        """Return the URL of a path on the container itself, bypassing any proxy."""
        return f"http://{self.host}:{self.plan.port}{path}"


@dataclass(slots=True)
class DockerStack:
    """Implements `runner.stack.protocols.Stack`.

    Attributes:
        own_subjects: The containers and the engine's own processes.
        metrics_urls: Replica to the URL of its metrics; empty without ``app.metrics``.
        status_urls: Nginx to its stub_status; empty without a proxy.
        inspect_urls: Service to the URL of its own statistics.
        watched: The services that ran already.
        addresses_here: Of services, as this host reaches them.
        addresses_inside: Of services, as the containers reach them.
        other_names: Further name of a part to its own, such as that of a service in a compose file.
    """

    engine: Engine
    run_id: str
    containers: tuple[Container, ...]
    endpoint: Endpoint
    own_subjects: tuple[Subject, ...]
    description: SystemDescription
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    inspect_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    watched: WatchedServices = field(default_factory=WatchedServices)
    addresses_here: Addresses = field(default_factory=dict)
    addresses_inside: Addresses = field(default_factory=dict)
    other_names: Mapping[str, str] = field(default_factory=dict)
    _broken: Event | None = None

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The watched processes, the containers, and the engine's own processes."""
        return (*self.watched.subjects, *self.own_subjects)

    @property
    def broken(self) -> Event | None:
        """Why the stack can no longer be used; calls the engine only when a process is gone."""
        if self._broken is None and not all(container.alive for container in self.containers):
            self._broken = post_mortem(self.engine, self.containers)
        return self._broken

    @property
    def secrets(self) -> Mapping[str, str]:
        """The variables that the containers inherit, and credentials for statistics of services."""
        inherited = {name: value for part in self.containers for name, value in part.plan.secrets.items()}
        return inherited | inspect_secrets(self.inspect_urls)

    async def app_output(self) -> tuple[str, ...]:
        """Return the last lines of each replica, in the order of the replicas."""
        try:
            return await self.engine.call(self._output_of, Role.APP, QUOTED_LINES)
        except (EngineRefused, EngineUnavailable):
            return ()

    async def proxy_errors(self) -> tuple[str, ...]:
        """Return the last messages of the containers that are a proxy."""
        try:
            return error_messages(await self.engine.call(self._output_of, Role.PROXY, READ_LINES))
        except (EngineRefused, EngineUnavailable):
            return ()

    def _output_of(self, role: Role, count: int) -> tuple[str, ...]:
        containers = [container for container in self.containers if container.plan.role == role]
        lines = (line for container in containers for line in last_lines(self.engine, container, count))
        return tuple(map(printable, lines))

    async def wait_broken(self) -> Event:
        """Wait, without polling, until the engine reports that a container ended, or itself ends."""
        filters = {"label": [f"{labels.RUN}={self.run_id}"], "event": ["die", "oom"]}
        try:
            async with subscribe(self.engine, filters) as events:
                self._broken = await self.engine.call(post_mortem, self.engine, self.containers)
                while self._broken is None:
                    event = await events.next()
                    self._broken = await self.engine.call(self._interpret, event)
        except EngineUnavailable as error:
            self._broken = Event("stack-failed", error.message)
        return self._broken

    @property
    def parts(self) -> tuple[str, ...]:
        """The app and the services."""
        return tuple(self._first_of_parts)

    def addresses(self, part: str | None) -> Addresses:
        """Return the addresses of services, as they are reached from inside a part; None for this host."""
        return self.addresses_inside if part else {**self.addresses_here, **self.watched.addresses}

    async def run_inside(
        self, part: str, argv: Sequence[str], *, env: Mapping[str, str], within: Seconds
    ) -> ProgramResult:
        """Run a program in a part's first container."""
        parts = self._first_of_parts
        container = parts.get(part) or parts.get(self.other_names.get(part, ""))
        if container is None:
            raise no_such_part(part, tuple(dict.fromkeys((*parts, *self.other_names))))
        masked = {**container.plan.secrets, **container.plan.request_secrets}
        return await run_in_container(self.engine, container.id, argv, env=env, within=within, masked=masked)

    @property
    def _first_of_parts(self) -> Mapping[str, Container]:
        parts = [container for container in self.containers if container.plan.role != Role.PROXY]
        return {container.plan.role: container for container in reversed(parts)}

    def _interpret(self, event: ContainerEvent | None) -> Event | None:
        """Return what an event of the engine means for the stack. Blocks."""
        if event is None:  # the stream ends when the engine does
            return _engine_ended()
        if event.action == "oom":
            for container in self.containers:
                if container.id == event.container_id:
                    return _out_of_memory(container.plan, last_lines(self.engine, container))
        return post_mortem(self.engine, self.containers)


def post_mortem(engine: Engine, containers: Sequence[Container]) -> Event | None:
    """Find a container that ended, and why. Blocks.

    The engine notices the end of a process a moment later, so it is called repeatedly for up to
    a second when a process is gone, and once otherwise.
    """
    until = time.monotonic() + _ENGINE_NOTICES_WITHIN_S
    while True:
        event = next(filter(None, (_examine(engine, container) for container in containers)), None)
        if event or all(container.alive for container in containers) or time.monotonic() > until:
            return event
        time.sleep(_RETRY_INTERVAL_S)


def _examine(engine: Engine, container: Container) -> Event | None:
    plan = container.plan
    try:
        inspect = partial(engine.api.inspect_container, container.id)
        state = read_sdk(ContainerDetails, inspect).state
        if state.oom_killed:
            return _out_of_memory(plan, _log(engine, container))
        if not state.running and not state.restarting:
            return _exited(plan, state.exit_code, _log(engine, container))
        if state.pid != container.pid:  # the restart policy of a compose file
            return _restarted(plan, _log(engine, container))
    except EngineRefused as refused:
        return Event("stack-failed", f"{plan.title} no longer exists: {refused.reason}")
    except EngineUnavailable as error:
        return Event("stack-failed", error.message)
    return None


def _log(engine: Engine, container: Container) -> tuple[str, ...]:
    """Return the last lines of a container that ended; none if the engine has none."""
    try:
        return last_lines(engine, container)
    except EngineRefused:
        return ()


def last_lines(engine: Engine, container: Container, count: int = _LOG_LINES) -> tuple[str, ...]:
    """Return the last lines of both of a container's output streams, with secrets masked. Blocks."""
    return log_lines(
        engine, container.id, {**container.plan.secrets, **container.plan.request_secrets}, count
    )


def log_lines(
    engine: Engine, container_id: str, secrets: Mapping[str, str], count: int = _LOG_LINES
) -> tuple[str, ...]:
    """Return the last lines of both output streams of a container, with `secrets` masked. Blocks."""
    output: bytes = call_sdk(engine.api.logs, container_id, tail=count)
    text = mask_bytes(output, secrets).decode(errors="replace")
    return tuple(without_escapes(text).splitlines()[-count:])


def _exited(plan: ContainerPlan, status: int, log: tuple[str, ...]) -> Event:
    how = describe_exit(128 - status if status > 128 else status)  # as a shell reports signals
    code = "app-died" if plan.role == Role.APP else "stack-failed"
    return Event(code, f"{plan.title} {how}", log=log)


def _restarted(plan: ContainerPlan, log: tuple[str, ...]) -> Event:
    code = "app-died" if plan.role == Role.APP else "stack-failed"
    return Event(code, f"{plan.title} ended, and its restart policy starts it again", log=log)


def _out_of_memory(plan: ContainerPlan, log: tuple[str, ...]) -> Event:
    if plan.memory_bytes:
        message = f"{plan.title} exceeded its memory limit of {plan.memory_bytes / BYTES_PER_MIB:g} MiB"
    else:
        message = f"{plan.title} ran out of memory"
    return Event("out-of-memory", message, log=log)


def _engine_ended() -> Event:
    return Event("stack-failed", "the Docker Engine stopped responding")
