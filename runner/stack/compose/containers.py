"""The containers of a project as the engine reports them, and as parts of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from runner.core.codes import RoleName
from runner.core.system_facts import LimitFacts
from runner.core.units import BYTES_PER_MIB
from runner.stack.docker import labels
from runner.stack.docker.containers import ContainerPlan
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently
from runner.stack.docker.responses import ContainerSummary, Id, NetworkSettings, Pid, Text
from runner.stack.docker.stack import Container
from runner.stack.docker.start import is_process_of
from runner.stack.ports import LOOPBACK
from runner.stack.reaper import live_start_ticks

_SERVICE: Final = "com.docker.compose.service"
_NUMBER: Final = "com.docker.compose.container-number"
_NANO: Final = 1_000_000_000
_HERE: Final = ("", "0.0.0.0", LOOPBACK)  # noqa: S104  (what others listen on)


class Health(Struct, frozen=True, rename="pascal"):
    """What the container's own health check says."""

    status: Text


class State(Struct, frozen=True, rename="pascal"):
    """Whether a container runs, and how it ended; `error` is why the engine could not start it."""

    pid: Pid
    running: bool
    exit_code: int
    error: str = ""
    restarting: bool = False
    oom_killed: bool = field(default=False, name="OOMKilled")
    health: Health | None = None


class HostConfig(Struct, frozen=True, rename="pascal"):
    """The limits of a container, 0 for none."""

    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory: int = 0
    network_mode: Text = ""

    @property
    def limits(self) -> LimitFacts | None:
        """The limits, None without any."""
        cpus = self.nano_cpus / _NANO or (
            self.cpu_quota / (self.cpu_period or 100_000) if self.cpu_quota > 0 else 0
        )
        if not cpus and not self.memory:
            return None
        return LimitFacts(cpus or None, self.memory / BYTES_PER_MIB if self.memory else None)


class ContainerConfig(Struct, frozen=True, rename="pascal"):
    """How a container was created."""

    image: Text
    env: tuple[Annotated[str, Meta(max_length=200_000)], ...] | None = None
    labels: Mapping[str, str] | None = None


class Details(Struct, frozen=True, rename="pascal"):
    """A container of a project."""

    id: Id
    name: Text
    image: Id
    state: State
    config: ContainerConfig
    host_config: HostConfig
    network_settings: NetworkSettings

    @property
    def service(self) -> str:
        """The service that it belongs to."""
        return (self.config.labels or {}).get(_SERVICE, "")

    @property
    def number(self) -> int:
        """Its place among the containers of its service, from 1."""
        text = (self.config.labels or {}).get(_NUMBER, "")
        return int(text) if text.isdecimal() and len(text) < 9 else 1

    @property
    def condition(self) -> Literal["ready", "waiting", "completed", "failed"]:
        """How far its start is: ``completed`` is the end of a task such as a migration."""
        state = self.state
        if state.restarting:
            return "waiting"
        if not state.running:
            return "failed" if state.exit_code or state.oom_killed else "completed"
        health = state.health.status if state.health else "none"
        return {"starting": "waiting", "unhealthy": "failed"}.get(health, "ready")  # type: ignore[return-value]

    @property
    def address(self) -> str:
        """Where this machine reaches it, empty without a network."""
        if self.host_config.network_mode == "host":
            return LOOPBACK
        networks = self.network_settings.networks
        return next((networks[name].address for name in sorted(networks) if networks[name].address), "")

    def port(self) -> int | None:
        """Return the port that its image or the compose file exposes; None unless it is the only one."""
        keys = [key for key in self.network_settings.ports or () if key.endswith("/tcp")]
        number = keys[0].removesuffix("/tcp") if len(keys) == 1 else ""
        return int(number) if number.isdecimal() else None

    def published(self, port: int) -> int | None:
        """Return the port of 127.0.0.1 that leads to one of its ports."""
        bindings = (self.network_settings.ports or {}).get(f"{port}/tcp") or ()
        return next((int(item.host_port) for item in bindings if item.host_ip in _HERE), None)


async def find_containers(engine: Engine, run_id: str) -> list[Details]:
    """Return the containers of a run in the order of their services and numbers."""
    filters = {"label": f"{labels.RUN}={run_id}"}
    summaries = await engine.read(
        tuple[ContainerSummary, ...], engine.api.containers, all=True, filters=filters
    )
    details: list[Details] = []

    async def inspect(container_id: str) -> None:
        try:
            details.append(await engine.read(Details, engine.api.inspect_container, container_id))
        except EngineRefused as refused:
            if refused.status != 404:  # it was replaced in the meantime
                raise

    await run_concurrently(partial(inspect, summary.id) for summary in summaries)
    return sorted(details, key=lambda item: (item.service, item.number))


def as_parts(
    found: Sequence[Details],
    roles: Mapping[str, RoleName],
    *,
    target: str,
    port: int,
    publish: Literal["port", "container"],
    secrets: Mapping[str, str],
) -> list[tuple[Details, Container]]:
    """Return the containers that run, as parts of a stack: services, then the app, then the proxy.

    Args:
        found: Those of the project.
        roles: Service to role.
        target: The service that the load goes to.
        port: Where it listens.
        publish: As `ComposeTopology.publish`.
        secrets: Name to value of what their output may not show.
    """
    running = [item for item in found if item.state.running]
    running.sort(key=lambda item: _rank(roles[item.service]))
    names = _names(running, roles)
    ports = {item.id: port if item.service == target else 0 for item in running}
    return [
        (item, _part(item, names[item.id], roles[item.service], ports[item.id], publish, secrets))
        for item in running
    ]


def addresses_of(
    parts: Sequence[tuple[Details, Container]], *, inside: bool
) -> dict[str, tuple[str, int | None]]:
    """Return the address of the first container of each service, by the service's name and by its role.

    Args:
        parts: Those that run.
        inside: Whether as other containers reach it, instead of this host.
    """
    addresses: dict[str, tuple[str, int | None]] = {}
    for item, container in parts:
        host = item.service if inside and item.address != LOOPBACK else item.address
        for name in (container.plan.role, item.service):
            addresses.setdefault(name, (host, container.plan.port or item.port()))
    return addresses


def _rank(role: RoleName) -> int:
    return {"app": 1, "proxy": 2}.get(role, 0)


def _names(running: Sequence[Details], roles: Mapping[str, RoleName]) -> dict[str, str]:
    """Return the name of each container: its role, with a number where the role has several."""
    names: dict[str, str] = {}
    for role in dict.fromkeys(roles[item.service] for item in running):
        members = [item for item in running if roles[item.service] == role]
        for number, item in enumerate(members, start=1):
            first = number == 1 and (len(members) == 1 or role != "app")
            names[item.id] = role if first else f"{role}-{number}"
    return names


def _part(
    item: Details, name: str, role: RoleName, port: int, publish: str, secrets: Mapping[str, str]
) -> Container:
    pid = item.state.pid
    limits = item.host_config.limits
    return Container(
        plan=ContainerPlan(
            name=name,
            role=role,
            image=item.config.image,
            port=port,
            secrets=secrets,
            cpus=limits.cpus if limits else None,
            memory_bytes=item.host_config.memory or None,
        ),
        id=item.id,
        pid=pid,
        started=live_start_ticks(pid) if is_process_of(item.id, pid) else None,
        host=item.address,
        published=item.published(port) if port and publish == "port" else None,
    )
