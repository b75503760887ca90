"""Creates a run's network and containers and starts them, concurrently where the order allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runner.core.codes import Role, is_service
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.model import DockerTopology
from runner.stack.docker import labels
from runner.stack.docker.containers import NGINX_ENV, ContainerPlan, create_arguments
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently, unusable
from runner.stack.docker.responses import Binding, ContainerDetails, Created
from runner.stack.docker.stack import Container, post_mortem
from runner.stack.docker.stack_images import StackImages
from runner.stack.ports import LOOPBACK, by_holder, is_free
from runner.stack.protocols import StackContext
from runner.stack.reaper import live_start_ticks


async def create_network(engine: Engine, run_id: str) -> str:
    """Create the run's own network and return its name.

    Raises:
        EnvironmentLacks: The engine has no addresses left.
    """
    name = f"loadproof-{run_id}"
    try:
        await engine.call(engine.api.create_network, name, labels=labels.run_labels(run_id, "network"))
    except EngineRefused as refused:
        if "pool" not in refused.reason:
            raise
        raise EnvironmentLacks(
            f"the Docker Engine has no addresses left for a network: {refused.reason}",
            hint="`docker network prune` removes unused networks",
        ) from refused
    return name


async def start_all(
    engine: Engine, plans: Sequence[ContainerPlan], *, run_id: str, network: str | None
) -> tuple[Container, ...]:
    """Create all containers and start them; nginx starts last, because it resolves its upstreams.

    Args:
        engine: Runs them.
        plans: What to run.
        run_id: The run they belong to.
        network: The run's network, None for the host's own.

    Raises:
        StackFailed: A container cannot be created, or ended at once.
        EnvironmentLacks: A port of the host is in use.
    """
    if network is None:
        _refuse_taken_ports(plans)
    ids: dict[str, str] = {}
    started: dict[str, Container] = {}

    async def create(plan: ContainerPlan) -> None:
        arguments = create_arguments(engine.api, plan, run_id=run_id, network=network)
        ids[plan.name] = (await engine.read(Created, engine.api.create_container, **arguments)).id

    async def start(plan: ContainerPlan) -> None:
        started[plan.name] = await _start(engine, plan, ids[plan.name], network)

    await run_concurrently(partial(create, plan) for plan in plans)
    for is_app in (True, False):
        await run_concurrently(partial(start, plan) for plan in plans if (plan.role == Role.APP) is is_app)
        await refuse_dead(engine, [started[plan.name] for plan in plans if plan.name in started])
    return tuple(started[plan.name] for plan in plans)


async def _start(engine: Engine, plan: ContainerPlan, container_id: str, network: str | None) -> Container:
    try:
        await engine.call(engine.api.start, container_id)
    except EngineRefused as refused:
        raise StackFailed(f"{plan.title} cannot be started: {refused.reason}") from refused
    details = await engine.read(ContainerDetails, engine.api.inspect_container, container_id)
    pid = details.state.pid
    return Container(
        plan=plan,
        id=container_id,
        pid=pid,
        started=live_start_ticks(pid) if is_process_of(container_id, pid) else None,
        host=_address(details, plan, network) if network else LOOPBACK,
        published=_published(plan, details.network_settings.ports or {}),
    )


async def refuse_dead(engine: Engine, containers: Sequence[Container]) -> None:
    """Raise StackFailed if a container has ended; a replica before nginx, which ends without its upstream."""
    if all(container.alive for container in containers):
        return
    event = await engine.call(post_mortem, engine, containers)
    if event is not None:
        raise StackFailed(f"{event.message} at its start", details=event.log)
    raise EnvironmentLacks(
        "the processes of the containers are not visible on this machine",
        hint="the Docker Engine runs in a virtual machine, or this runner in a container: run both "
        "directly on this machine, or the runner's container with `docker run --pid host`, because "
        "containers are observed through this machine's own counters",
    )


def is_process_of(container_id: str, pid: int) -> bool:
    """Return whether a process is in the container's control group, whose name contains the container's id.

    The watchdog ends this process, so the engine's word is not enough.
    """
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return container_id in groups


def _address(details: ContainerDetails, plan: ContainerPlan, network: str) -> str:
    attachment = details.network_settings.networks.get(network)
    if attachment is None:
        raise unusable(f"{plan.name} is not in the network {network}")
    if not attachment.address and details.state.running:
        raise unusable(f"{plan.name} has no address")
    return attachment.address


def _published(plan: ContainerPlan, ports: Mapping[str, Sequence[Binding] | None]) -> int | None:
    bindings = ports.get(f"{plan.port}/tcp") if plan.published else None
    return int(bindings[0].host_port) if bindings else None


def _refuse_taken_ports(plans: Sequence[ContainerPlan]) -> None:
    for plan in plans:
        if plan.port and not is_free(plan.port):
            raise EnvironmentLacks(
                f"port {plan.port} is already in use{by_holder(plan.port)}, and {plan.title} needs it",
                hint="choose another, or stop that process"
                if is_service(plan.role)
                else "with `network: host` replicas listen on app.port, app.port + 1, …: choose another",
            )


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts containers of one stack.

    Attributes:
        containers: Those that were started, in order.
    """

    engine: Engine
    topology: DockerTopology
    context: StackContext
    images: StackImages
    network: str | None
    containers: list[Container]

    async def start(self, plans: Sequence[ContainerPlan]) -> None:
        """Start containers, guarded by the watchdog."""
        context = self.context
        plans = [replace(plan, request_secrets=context.request_secrets) for plan in plans]
        _keep_configuration(plans, context)
        started = await start_all(self.engine, plans, run_id=context.run_id, network=self.network)
        self.containers.extend(started)
        for container in started:
            context.guard.process(container.pid)  # an engine that dies leaves its containers running


def _keep_configuration(plans: Sequence[ContainerPlan], context: StackContext) -> None:
    for plan in plans:
        if configuration := plan.env.get(NGINX_ENV):
            context.keep_rendered(f"{plan.name}.conf", configuration.encode())
