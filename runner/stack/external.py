"""Topology `external`: a service that already runs; nothing is built, and nothing is stopped."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import trio
from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.endpoint import Endpoint, Tls
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.facts import Event
from runner.core.observed_facts import Subject
from runner.core.system_facts import SystemDescription
from runner.core.tls_context import client_context
from runner.core.units import Seconds
from runner.experiment.external_topology import Certificates, ExternalTopology
from runner.experiment.service_addresses import Addresses
from runner.experiment.url import host_of
from runner.stack.external_probe import check_reachable, check_tls, first_reachable
from runner.stack.paths import read_regular
from runner.stack.programs import no_such_part
from runner.stack.protocols import ProgramResult, StackContext
from runner.stack.readiness import wait_ready
from runner.stack.reaper import Process, is_running, look_up
from runner.stack.secrets import inspect_secrets
from runner.stack.target_policy import addresses_of, check_target
from runner.stack.watched import WatchedServices, find_watched

_READY_WITHIN_S: Final[Seconds] = 5.0
_LOOK_INTERVAL_S: Final[Seconds] = 0.1
_MAX_ADDRESSES: Final = 16
"""Each needs a worker process of its own."""


@dataclass(slots=True)
class ExternalStack:
    """A service that this run did not start; implements `runner.stack.protocols.Stack`."""

    endpoint: Endpoint
    processes: tuple[Process, ...]
    description: SystemDescription
    metrics_urls: Mapping[str, str] = field(default_factory=dict)
    status_urls: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    inspect_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    watched: WatchedServices = field(default_factory=WatchedServices)
    _broken: Event | None = field(default=None, init=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The watched processes and those listed in the specification, each with its descendants."""
        names = ["app"] if len(self.processes) == 1 else [f"app-{n + 1}" for n in range(len(self.processes))]
        own = (
            Subject(name, Role.APP, "tree", process.pid, process.started)
            for name, process in zip(names, self.processes, strict=True)
        )
        return (*self.watched.subjects, *own)

    @property
    def broken(self) -> Event | None:
        """Which of the processes ended; always None for a service without pids."""
        if self._broken is None:
            ended = next((process for process in self.processes if not is_running(process)), None)
            self._broken = Event("app-died", f"the app's process {ended.pid} has ended") if ended else None
        return self._broken

    async def app_output(self) -> tuple[str, ...]:
        """Return nothing: another program reads what the service writes."""
        return ()

    async def proxy_errors(self) -> tuple[str, ...]:
        """Return nothing, as for the app."""
        return ()

    async def wait_broken(self) -> Event:
        """Wait until one of the processes ends."""
        next_look = trio.current_time()
        while not (event := self.broken):
            next_look += _LOOK_INTERVAL_S if self.processes else float("inf")
            await trio.sleep_until(next_look)
        return event

    @property
    def parts(self) -> tuple[str, ...]:
        """None: this run started nothing."""
        return ()

    def addresses(self, part: str | None) -> Addresses:
        """Return the addresses of the watched services."""
        del part
        return self.watched.addresses

    async def run_inside(
        self, part: str, argv: Sequence[str], *, env: Mapping[str, str], within: Seconds
    ) -> ProgramResult:
        """Raise `EnvironmentLacks`: there is no part."""
        del argv, env, within
        raise no_such_part(part, self.parts)


@asynccontextmanager
async def open_external(topology: ExternalTopology, ctx: StackContext) -> AsyncIterator[ExternalStack]:
    """Check that the service responds and that its processes exist.

    Raises:
        EnvironmentLacks: There is no running process with one of the pids.
        StackFailed: The service does not respond, or its certificate is not accepted.
        UsageError: It is not on this machine, and load on it was not allowed twice.
    """
    processes = tuple(_find_process(pid) for pid in topology.pids)
    watched = await find_watched(topology.watch)
    watched.refuse_shared(processes, "topology.pids")
    tls = _tls(topology, ctx)
    context = _context(tls) if tls else None
    endpoint, unused = await _endpoint(topology, ctx, tls)
    for address in endpoint.addresses or [endpoint.address or endpoint.host]:
        if tls and context:
            await check_tls(topology.url, address, endpoint.port, tls, context)
        if topology.health is not None:
            await wait_ready(
                topology.url.rstrip("/") + topology.health,
                deadline_s=_READY_WITHIN_S,
                alive=lambda: None,
                name=topology.url,
                address=address,
                verify=context,
            )
    yield ExternalStack(
        endpoint,
        processes,
        replace(_description(topology, endpoint, unused), services=watched.facts or None),
        secrets=inspect_secrets(watched.inspect_urls),
        inspect_urls=watched.inspect_urls,
        watched=watched,
    )


async def _endpoint(
    topology: ExternalTopology, ctx: StackContext, tls: Tls | None
) -> tuple[Endpoint, tuple[str, ...]]:
    """Return where to connect to, and the host's other addresses.

    They are resolved once, checked against the policy, and reachable.
    """
    url, host = urlsplit(topology.url), host_of(topology.url)
    port = url.port or (443 if tls else 80)
    addresses = await trio.to_thread.run_sync(addresses_of, host, port)
    check_target(host, addresses, allow_hosts=ctx.allow_hosts, authorized=ctx.authorized)
    used = await _used(topology, addresses, port)
    unused = tuple(address for address in addresses if address not in used)
    if len(addresses) > 1:
        ctx.say(_choice(host, used, unused))
    return (
        Endpoint(
            host=host,
            port=port,
            scheme="https" if tls else "http",
            base_path=url.path.rstrip("/"),
            address="" if used[0] == host else used[0],
            tls=tls,
            addresses=used if len(used) > 1 else (),
        ),
        unused,
    )


async def _used(topology: ExternalTopology, addresses: Sequence[str], port: int) -> tuple[str, ...]:
    """Return the addresses that load goes to."""
    if topology.resolve == "first":
        return (await first_reachable(topology.url, addresses, port),)
    if len(addresses) > _MAX_ADDRESSES:
        raise StackFailed(
            f"{topology.url} has {len(addresses)} addresses; topology.resolve: all spreads load over at most "
            f"{_MAX_ADDRESSES}",
            hint="use topology.resolve: first, or a url with one address",
        )
    await check_reachable(topology.url, addresses, port)
    return tuple(addresses)


def _choice(host: str, used: Sequence[str], unused: Sequence[str]) -> str:
    if not unused:
        return f"{host} has {len(used)} addresses; requests go to {', '.join(used)} in turn"
    return (
        f"{host} has {len(used) + len(unused)} addresses; all load goes to {used[0]}, none to "
        f"{', '.join(unused)} (topology.resolve: all spreads it over all of them)"
    )


def _tls(topology: ExternalTopology, ctx: StackContext) -> Tls | None:
    if not topology.url.startswith("https:"):
        return None
    certificates = topology.tls or Certificates()
    ca_file = str(ctx.base_dir / certificates.ca_file) if certificates.ca_file else ""
    return Tls(host_of(topology.url), ca_file, certificates.insecure)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        if tls.ca_file:
            read_regular(Path(tls.ca_file))  # else OpenSSL would wait for what never comes
        return client_context(tls)
    except ssl.SSLError:
        raise EnvironmentLacks(f"topology.tls.ca_file: {tls.ca_file} contains no PEM certificates") from None
    except OSError as error:
        reason = error.strerror
        raise EnvironmentLacks(f"topology.tls.ca_file: {tls.ca_file} cannot be read: {reason}") from None


def _description(
    topology: ExternalTopology, endpoint: Endpoint, unused: tuple[str, ...]
) -> SystemDescription:
    certificate: Literal["checked", "not checked"] | None = None
    if endpoint.tls:
        certificate = "not checked" if endpoint.tls.insecure else "checked"
    return SystemDescription(
        kind=topology.kind,
        url=topology.url,
        pids=topology.pids,
        address=endpoint.address or None,
        addresses=endpoint.addresses or None,
        unused_addresses=unused or None,
        certificate=certificate,
    )


def _find_process(pid: int) -> Process:
    process = look_up(pid)
    if process is None or not is_running(process):
        raise EnvironmentLacks(
            f"topology.pids: no process {pid} is running",
            hint="list the service's current pids, or remove `pids`; its CPU is then not measured",
        )
    return process
