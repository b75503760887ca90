"""Plans the parts of a topology `swarm`: what is placed on nodes, with which limits, files and networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from runner.cluster.placement import Node, PlacedFile, PlacedHealthcheck, ResourceLimits, TaskPlan
from runner.core.codes import Role, RoleName, is_service
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.experiment.service_addresses import Addresses
from runner.experiment.swarm_parts import SwarmApp, SwarmProxy, SwarmService
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.docker.containers import filled
from runner.stack.nginx import NginxSettings, render_nginx
from runner.stack.ports import LOOPBACK
from runner.stack.secrets import inherited_variables

PROXY_PORT: Final = 8080
STATUS_PORT: Final = 8081
NO_PORT: Final = 0
"""The port of a service that listens on none."""

_FIRST_HOST_PORT: Final = 20_000
_HOST_PORTS: Final = 10_000
"""On the network of a node, nginx listens below the ports that Linux gives to connections."""
_NOBODY: Final = "65534:65534"
_MAX_PROCESSES: Final = 4096
_SCRATCH: Final = "/tmp"  # noqa: S108  (a memory file system inside the container)
_SCRATCH_BYTES: Final[Bytes] = 64 * BYTES_PER_MIB
_NGINX_FILE: Final = "/loadproof-nginx.conf"
_NGINX: Final = f'ulimit -n "$(ulimit -Hn)"; exec nginx -e stderr -c {_NGINX_FILE}'
_READY_INTERVAL_S: Final[Seconds] = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part before it is placed.

    Attributes:
        role: Which role its CPU counts as.
        plan: What is placed.
        port: Where it listens in its own network namespace; `NO_PORT` if on none.
        secrets: Name to value of the variables that it inherits, which no output of it may show.
        status_port: Of nginx: where its stub_status is; 0 for other parts.
        metrics: Path of its Prometheus metrics; empty for none.
    """

    role: RoleName
    plan: TaskPlan
    port: int
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    status_port: int = 0
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans parts of one topology.

    Attributes:
        topology: What to plan.
        run_id: Set in every environment.
        network: The run's own, as the placer named it.
        images: Role to pinned image.
        files: Role to the files that it is given.
    """

    topology: SwarmTopology
    run_id: str
    network: str
    images: Mapping[RoleName, str]
    files: Mapping[RoleName, tuple[PlacedFile, ...]] = field(default_factory=dict, repr=False)

    @property
    def _on_host(self) -> bool:
        return self.topology.path == "host"

    def service(self, name: str, addresses: Addresses) -> Part:
        """Plan a service; `addresses` are of the services that run already.

        Raises:
            EnvironmentLacks: A variable that it inherits is not set.
        """
        service = self.topology.services[name]
        own = {**addresses, name: (LOOPBACK, service.port)}  # its name is resolved only when it is ready
        return self._part(
            name, name, service, service.port or NO_PORT, addresses, healthcheck=_healthcheck(service, own)
        )

    def app(self, addresses: Addresses, nodes: Sequence[Node]) -> list[Part]:
        """Plan the replicas: one part with a task for each, on the nodes' own network one part for each.

        Args:
            addresses: Of the services.
            nodes: On the nodes' own network, where the replicas run, one for each.

        Raises:
            EnvironmentLacks: A variable that it inherits is not set.
        """
        app = self.topology.app
        port = app.port or PROXY_PORT
        if not self._on_host:
            return [self._part(Role.APP, Role.APP, app, port, addresses, replicas=app.replicas)]
        names = [Role.APP.value] if app.replicas == 1 else [f"app-{at + 1}" for at in range(app.replicas)]
        return [
            self._part(name, Role.APP, app, port, addresses, node_id=node.id)
            for name, node in zip(names, nodes, strict=True)
        ]

    def nginx(self, proxy: SwarmProxy, upstreams: Sequence[str]) -> tuple[Part, str]:
        """Plan nginx in front of the replicas.

        Args:
            proxy: Its specification.
            upstreams: ``host:port`` of every replica, as nginx reaches it.

        Returns:
            The part, and its configuration.
        """
        port, status_port = self._proxy_ports()
        settings = NginxSettings(
            upstreams=upstreams,
            listen=str(port),
            status_listen=str(status_port),
            scratch=_SCRATCH,
            keepalive=proxy.keepalive,
            workers=proxy.workers,
            worker_connections=proxy.connections,
        )
        text = render_nginx(settings)
        plan = TaskPlan(
            name="nginx",
            image=self.images[Role.PROXY],
            entrypoint=("/bin/sh", "-c", _NGINX),
            env={"LOADPROOF_RUN": self.run_id},
            networks=() if self._on_host else (self.network,),
            host=self._on_host,
            constraints=proxy.nodes,
            files=(PlacedFile(_NGINX_FILE, text.encode()),),
            tmpfs={_SCRATCH: _SCRATCH_BYTES},
            user=_NOBODY,
            read_only=True,
            cap_drop=("ALL",),
            limits=ResourceLimits(pids=_MAX_PROCESSES),
            ports=self._published(port),
        )
        return Part(Role.PROXY, plan, port, status_port=status_port), text

    def _proxy_ports(self) -> tuple[int, int]:
        if not self._on_host:
            return PROXY_PORT, STATUS_PORT
        taken = {self.topology.app.port, *(service.port for service in self.topology.services.values())}
        first = _FIRST_HOST_PORT + int.from_bytes(self.run_id.encode(), "big") % _HOST_PORTS
        free = [port for port in range(first, first + 2 + len(taken)) if port not in taken]
        return free[0], free[1]

    def _published(self, port: int) -> Mapping[int, int]:
        return {port: 0} if self.topology.path == "published" else {}

    def _part(
        self,
        name: str,
        role: RoleName,
        part: SwarmApp | SwarmService,
        port: int,
        addresses: Addresses,
        *,
        replicas: int = 1,
        node_id: str = "",
        healthcheck: PlacedHealthcheck | None = None,
    ) -> Part:
        fill = partial(filled, port=port, addresses=addresses)
        place = f"services.{role}" if is_service(role) else "app"
        inherited = inherited_variables(part.env_from, os.environ, place)
        own = {"PORT": str(port)} if role == Role.APP else {}
        env = own | {key: fill(value) for key, value in part.env.items()} | inherited
        plan = TaskPlan(
            name=name,
            image=self.images[role],
            command=tuple(map(fill, part.command or ())),
            folder=part.cwd or "",
            env={**env, "LOADPROOF_RUN": self.run_id},
            networks=() if self._on_host else (self.network,),
            host=self._on_host,
            constraints=part.nodes,
            node_id=node_id,
            replicas=replicas,
            files=self.files.get(role, ()),
            limits=ResourceLimits(part.cpus, part.memory),
            ports=self._published(port) if role == Role.APP else {},
            healthcheck=healthcheck,
        )
        metrics = part.metrics or "" if isinstance(part, SwarmApp) else ""
        return Part(role, plan, port, inherited, metrics=metrics)


def _healthcheck(service: SwarmService, addresses: Addresses) -> PlacedHealthcheck | None:
    """Return the check that an engine makes for ``ready.command``, which no other machine can run inside."""
    command = service.ready.command if service.ready else None
    if command is None:
        return None
    words = (filled(word, service.port, addresses) for word in command)
    retries = max(1, round(service.ready_within / _READY_INTERVAL_S))
    return PlacedHealthcheck(("CMD", *words), _READY_INTERVAL_S, retries)
