"""Plans each container of a stack: its network, its limits, its privileges.

The app has the rights that `docker run` gives, because images use chown, setuid and file capabilities;
`app.hardened` takes them away. Nginx always runs without them, as user nobody on a read-only root. Ports are
published on 127.0.0.1 only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from runner.core.codes import Role, RoleName, is_service
from runner.cpu_affinity import cpu_list
from runner.experiment.model import DockerTopology, Proxy
from runner.experiment.service_addresses import Addresses, fill_addresses
from runner.stack.docker import labels
from runner.stack.docker.bounded_client import BoundedClient
from runner.stack.nginx import NginxSettings, render_nginx, two_free_ports
from runner.stack.ports import LOOPBACK, fill_port
from runner.stack.secrets import inherited_variables

PROXY_PORT: Final = 8080
STATUS_PORT: Final = 8081
NGINX_ENV: Final = "LOADPROOF_NGINX"

_NOBODY: Final = "65534:65534"
_MAX_PROCESSES: Final = 4096
_NANO: Final = 1_000_000_000
_NGINX: Final = """
ulimit -n "$(ulimit -Hn)"
printf %s "$LOADPROOF_NGINX" >/tmp/nginx.conf && exec nginx -e stderr -c /tmp/nginx.conf
"""


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """One container before it exists.

    Attributes:
        name: Its name within the run and its host name on the network, such as ``app-1``.
        role: Which role its CPU counts as.
        image: The image's id or name.
        port: Where it listens, inside the container or on the host's own network.
        env: Its environment.
        secrets: More environment variables, whose values are masked in its output.
        request_secrets: Name to value of what else is masked there.
        command: Replaces the image's command; None keeps it.
        published: Whether `port` is also reachable through 127.0.0.1 of this machine.
        status_port: Where nginx serves its stub_status.
        cpus: Limit in cores.
        memory_bytes: Limit, swap included.
        on_cpus: Processors to pin it to, empty for any.
        hardened: Whether it runs without capabilities and without new privileges.
        folder: Its working directory; None for the image's.
        files: Path on this machine to path inside, of what is mounted read-only.
    """

    name: str
    role: RoleName
    image: str
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    request_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: tuple[str, ...] | None = None
    published: bool = False
    status_port: int | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    on_cpus: tuple[int, ...] = ()
    hardened: bool = False
    folder: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """How messages name it."""
        if is_service(self.role):
            return f"the service {self.name}"
        if self.role == Role.APP:
            return "the app" if self.name == Role.APP else f"the replica {self.name}"
        return self.name


def plan_replicas(topology: DockerTopology, image: str, addresses: Addresses) -> list[ContainerPlan]:
    """Plan every replica; on the host's own network each gets a port of its own through PORT."""
    if topology.replicas == 1:
        return [_replica(topology, image, "app", 0, addresses)]
    return [
        _replica(topology, image, f"app-{index + 1}", index, addresses) for index in range(topology.replicas)
    ]


def filled(text: str, port: int | None, addresses: Addresses) -> str:
    """Return a word of a command, or the value of a variable, with ports and addresses inserted."""
    return fill_addresses(fill_port(text, port) if port else text, addresses)


def _replica(
    topology: DockerTopology, image: str, name: str, index: int, addresses: Addresses
) -> ContainerPlan:
    app = topology.app
    on_host = topology.network == "host"
    port = (app.port or PROXY_PORT) + (index if on_host else 0)
    address = {"HOST": LOOPBACK} if on_host else {}
    env = {name: filled(value, port, addresses) for name, value in app.env.items()}
    return ContainerPlan(
        name=name,
        role=Role.APP,
        image=image,
        port=port,
        env={"PORT": str(port), **address, **env},
        secrets=inherited_variables(app.env_from, os.environ),
        command=tuple(filled(word, port, addresses) for word in app.command or ()) or None,
        published=not on_host and topology.proxy is None and topology.publish == "port",
        cpus=app.cpus,
        memory_bytes=app.memory,
        on_cpus=topology.cpus,
        hardened=app.hardened,
        folder=app.cwd,
    )


def plan_nginx(
    proxy: Proxy, topology: DockerTopology, image: str, replicas: Sequence[ContainerPlan]
) -> ContainerPlan:
    """Plan nginx in front of the replicas; on the host's own network it gets free ports."""
    on_host = topology.network == "host"
    port, status_port = two_free_ports() if on_host else (PROXY_PORT, STATUS_PORT)
    address = f"{LOOPBACK}:" if on_host else ""
    settings = NginxSettings(
        upstreams=[f"{LOOPBACK if on_host else replica.name}:{replica.port}" for replica in replicas],
        listen=f"{address}{port}",
        status_listen=f"{address}{status_port}",
        scratch="/tmp",  # noqa: S108  (a tmpfs inside the container)
        keepalive=proxy.keepalive,
        workers=proxy.workers,
        worker_connections=proxy.connections,
    )
    return ContainerPlan(
        name="nginx",
        role=Role.PROXY,
        image=image,
        port=port,
        status_port=status_port,
        env={NGINX_ENV: render_nginx(settings)},
        published=not on_host and topology.publish == "port",
        on_cpus=topology.cpus,
        hardened=True,
    )


def create_arguments(
    api: BoundedClient, plan: ContainerPlan, *, run_id: str, network: str | None
) -> dict[str, Any]:  # the SDK's keyword arguments have no type
    """Return arguments for the SDK's `create_container`.

    Args:
        api: The SDK's client, which knows the API's version.
        plan: What to create.
        run_id: Part of its labels and name.
        network: The run's network, None for the host's own.
    """
    arguments: dict[str, Any] = {
        "image": plan.image,
        "name": f"loadproof-{run_id}-{plan.name}",
        "labels": labels.run_labels(run_id, plan.role),
        "environment": {**plan.env, **plan.secrets, "LOADPROOF_RUN": run_id},
        "healthcheck": {"test": ["NONE"]},  # it would use CPU in the middle of a stage
        "host_config": api.create_host_config(**_host_arguments(plan, network)),
    }
    if plan.command:
        arguments["command"] = list(plan.command)
    if plan.folder:
        arguments["working_dir"] = plan.folder
    if plan.published:
        arguments["ports"] = [plan.port]
    if plan.role == Role.PROXY:
        arguments |= {"user": _NOBODY, "entrypoint": ["/bin/sh", "-c", _NGINX]}
    if network:
        endpoint = api.create_endpoint_config(aliases=[plan.name])
        arguments["networking_config"] = {"EndpointsConfig": {network: endpoint}}
    return arguments


def _host_arguments(plan: ContainerPlan, network: str | None) -> dict[str, Any]:
    host: dict[str, Any] = {
        "network_mode": network or "host",
        "log_config": {"type": "json-file", "config": {"max-size": "8m", "max-file": "1"}},
    }
    if plan.hardened:
        host |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": _MAX_PROCESSES}
    if plan.cpus is not None:
        host["nano_cpus"] = round(plan.cpus * _NANO)
    if plan.on_cpus:
        host["cpuset_cpus"] = cpu_list(plan.on_cpus)
    if plan.memory_bytes is not None:
        host["mem_limit"] = host["memswap_limit"] = plan.memory_bytes
    if plan.files:
        host["mounts"] = [
            {"Type": "bind", "Source": source, "Target": inside, "ReadOnly": True}
            for source, inside in plan.files.items()
        ]
    if plan.published:
        host["port_bindings"] = {plan.port: (LOOPBACK,)}
    if plan.role == Role.PROXY:
        host |= {"read_only": True, "tmpfs": {"/tmp": "rw,nosuid,nodev,noexec,size=64m,mode=1777"}}  # noqa: S108
    return host
