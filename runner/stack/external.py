"""Topology `external`: something that already runs. Nothing is built, nothing is ended."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.facts import Endpoint, Event, Role, Subject, Tls
from runner.core.tls_context import client_context
from runner.core.units import Seconds
from runner.experiment.model import ExternalTopology
from runner.experiment.topology import Certificates
from runner.experiment.url import host_of
from runner.stack.external_probe import check_tls, reach
from runner.stack.protocols import StackContext
from runner.stack.readiness import wait_ready
from runner.stack.reaper import Process, is_running, look_up
from runner.stack.target_policy import addresses_of, check_aim

_ANSWERS_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final[Seconds] = 0.1


@dataclass(slots=True)
class ExternalStack:
    """A service of somebody else's; implements `runner.stack.protocols.Stack`."""

    endpoint: Endpoint
    processes: tuple[Process, ...]
    description: Mapping[str, object]
    metrics_urls: Mapping[str, str] = field(default_factory=dict)
    status_urls: Mapping[str, str] = field(default_factory=dict)
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
        StackFailed: The service does not answer, or its certificate is not accepted.
        UsageError: It is not on this machine, and nobody allowed load on it.
    """
    processes = tuple(_find_process(pid) for pid in topology.pids)
    tls = _tls(topology, ctx)
    context = _context(tls) if tls else None
    endpoint = await _endpoint(topology, ctx, tls)
    address = endpoint.address or endpoint.host
    if tls and context:
        await check_tls(topology.url, address, endpoint.port, tls, context)
    if topology.health is not None:
        await wait_ready(
            topology.url.rstrip("/") + topology.health,
            deadline_s=_ANSWERS_WITHIN_S,
            alive=lambda: None,
            name=topology.url,
            address=address,
            verify=context,
        )
    yield ExternalStack(endpoint, processes, _description(topology, endpoint))


async def _endpoint(topology: ExternalTopology, ctx: StackContext, tls: Tls | None) -> Endpoint:
    """Where to connect to: looked up once, judged, and reached."""
    url, host = urlsplit(topology.url), host_of(topology.url)
    port = url.port or (443 if tls else 80)
    addresses = await trio.to_thread.run_sync(addresses_of, host, port)
    check_aim(host, addresses, allow_hosts=ctx.allow_hosts, authorized=ctx.authorized)
    address = await reach(topology.url, addresses, port)
    pinned = "" if address == host else address
    return Endpoint(host, port, "https" if tls else "http", url.path.rstrip("/"), pinned, tls)


def _tls(topology: ExternalTopology, ctx: StackContext) -> Tls | None:
    if not topology.url.startswith("https:"):
        return None
    asked = topology.tls or Certificates()
    ca_file = str(ctx.base_dir / asked.ca_file) if asked.ca_file else ""
    return Tls(host_of(topology.url), ca_file, asked.insecure)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        return client_context(tls)
    except ssl.SSLError:
        raise EnvironmentLacks(f"topology.tls.ca_file: {tls.ca_file} holds no certificates in PEM") from None
    except OSError as error:
        reason = error.strerror
        raise EnvironmentLacks(f"topology.tls.ca_file: {tls.ca_file} cannot be read: {reason}") from None


def _description(topology: ExternalTopology, endpoint: Endpoint) -> dict[str, object]:
    said: dict[str, object] = {"kind": "external", "url": topology.url, "pids": list(topology.pids)}
    if endpoint.address:
        said["address"] = endpoint.address
    if endpoint.tls:
        said["certificate"] = "not checked" if endpoint.tls.insecure else "checked"
    return said


def _find_process(pid: int) -> Process:
    process = look_up(pid)
    if process is None or not is_running(process):
        raise EnvironmentLacks(
            f"topology.pids: there is no process {pid} that can be watched",
            hint="give the pids the service has now, or leave `pids` out: its CPU is then not measured",
        )
    return process
