"""Topology `external`: something that already runs. Nothing is built, nothing is ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import trio

from runner.errors import EnvironmentLacks, StackFailed
from runner.facts import Endpoint, Event, Role, Subject
from runner.spec.model import ExternalTopology
from runner.spec.url import host_of
from runner.stack.aim import addresses_of, check_aim
from runner.stack.contract import StackContext
from runner.stack.readiness import wait_ready
from runner.stack.reaper import Process, is_running, look_up
from runner.units import Seconds

_ANSWERS_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final[Seconds] = 0.1


@dataclass(slots=True)
class ExternalStack:
    """A service of somebody else's; implements `runner.stack.contract.Stack`."""

    endpoint: Endpoint
    processes: tuple[Process, ...]
    description: Mapping[str, object]
    metrics_urls: Mapping[str, str] = field(default_factory=dict)
    _broken: Event | None = field(default=None, init=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The processes named in the specification, each with its descendants."""
        names = ["app"] if len(self.processes) == 1 else [f"app-{n + 1}" for n in range(len(self.processes))]
        return tuple(
            Subject(name, Role.APP, "tree", process.pid, process.started)
            for name, process in zip(names, self.processes, strict=True)
        )

    @property
    def broken(self) -> Event | None:
        """Which of the processes is gone; a service without pids is never known to be."""
        if self._broken is None:
            gone = next((process for process in self.processes if not is_running(process)), None)
            self._broken = Event("app-died", f"the app's process {gone.pid} is gone") if gone else None
        return self._broken

    async def wait_broken(self) -> Event:
        """Wait until one of the processes is gone."""
        beat = trio.current_time()
        while not (event := self.broken):
            beat += _LOOK_EVERY_S if self.processes else float("inf")
            await trio.sleep_until(beat)
        return event


@asynccontextmanager
async def open_external(topology: ExternalTopology, ctx: StackContext) -> AsyncIterator[ExternalStack]:
    """See that the service answers and its processes exist.

    Raises:
        EnvironmentLacks: A pid is not that of a process which can be watched.
        StackFailed: The service does not answer.
        UsageError: It is not on this machine, and nobody allowed load on it.
    """
    processes = tuple(_find_process(pid) for pid in topology.pids)
    url = urlsplit(topology.url)
    port = url.port or 80
    endpoint = await _endpoint(topology, ctx, port)
    if topology.health is not None:
        health = topology.url.rstrip("/") + topology.health
        address = endpoint.address or endpoint.host
        within = _ANSWERS_WITHIN_S
        await wait_ready(health, deadline_s=within, alive=lambda: None, name=topology.url, address=address)
    description = {"kind": "external", "url": topology.url, "pids": list(topology.pids)}
    if endpoint.address:
        description["address"] = endpoint.address
    yield ExternalStack(endpoint, processes, description)


async def _endpoint(topology: ExternalTopology, ctx: StackContext, port: int) -> Endpoint:
    """Where to connect to: looked up once, judged, and reached."""
    host = host_of(topology.url)
    addresses = await trio.to_thread.run_sync(addresses_of, host, port)
    check_aim(host, addresses, allow_hosts=ctx.allow_hosts, authorized=ctx.authorized)
    address = await _reach(topology.url, addresses, port)
    base_path = urlsplit(topology.url).path.rstrip("/")
    return Endpoint(host, port, "http", base_path, "" if address == host else address)


def _find_process(pid: int) -> Process:
    process = look_up(pid)
    if process is None or not is_running(process):
        raise EnvironmentLacks(
            f"topology.pids: there is no process {pid} that can be watched",
            hint="give the pids the service has now, or leave `pids` out: its CPU is then not measured",
        )
    return process


async def _reach(url: str, addresses: Sequence[str], port: int) -> str:
    """The first address that accepts a connection.

    Raises:
        StackFailed: None does.
    """
    refusal = OSError()
    with trio.move_on_after(_ANSWERS_WITHIN_S):
        for address in addresses:
            try:
                stream = await trio.open_tcp_stream(address, port)
            except OSError as error:
                refusal = error
            else:
                await stream.aclose()
                return address
        raise StackFailed(
            f"{url} cannot be reached: {_reason(refusal)}", hint="start the service, or correct the url"
        ) from refusal
    raise StackFailed(f"{url} does not accept a connection within {_ANSWERS_WITHIN_S:g} s")


def _reason(error: OSError) -> str:
    """What the system said; trio puts one error for each address it tried into a group."""
    cause: BaseException = error
    while isinstance(cause.__cause__, BaseExceptionGroup):
        cause = cause.__cause__.exceptions[0]
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else str(cause)
