"""Creates a run's network and containers and starts them, as many at once as order allows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.facts import Role
from runner.stack.docker import labels
from runner.stack.docker.containers import Plan, create_arguments
from runner.stack.docker.engine import Engine, EngineRefused, together
from runner.stack.docker.stack import Started, post_mortem
from runner.stack.ports import LOOPBACK, holders, is_free


async def create_network(engine: Engine, run_id: str) -> str:
    """The run's own network; returns its name.

    Raises:
        EnvironmentLacks: The engine has no addresses left.
    """
    name = f"loadproof-{run_id}"
    try:
        await engine.call(engine.api.create_network, name, labels=labels.labels(run_id, "network"))
    except EngineRefused as refused:
        if "pool" not in refused.reason:
            raise
        raise EnvironmentLacks(
            f"the Docker Engine has no addresses left for a network: {refused.reason}",
            hint="`docker network prune` removes networks that nothing uses",
        ) from refused
    return name


async def start_all(
    engine: Engine, plans: Sequence[Plan], *, run_id: str, network: str | None
) -> tuple[Started, ...]:
    """Create everything together; nginx starts last, because it looks its upstreams up.

    Args:
        engine: Runs them.
        plans: What to run.
        run_id: Whose they are.
        network: The run's network, None for the host's own.

    Raises:
        StackFailed: A container cannot be created or ended at once.
        EnvironmentLacks: A port of the host is taken.
    """
    if network is None:
        _refuse_taken_ports(plans)
    ids: dict[str, str] = {}
    started: dict[str, Started] = {}

    async def create(plan: Plan) -> None:
        arguments = create_arguments(engine.api, plan, run_id=run_id, network=network)
        ids[plan.name] = (await engine.call(engine.api.create_container, **arguments))["Id"]

    async def start(plan: Plan) -> None:
        started[plan.name] = await _start(engine, plan, ids[plan.name], network)

    await together(partial(create, plan) for plan in plans)
    for is_app in (True, False):
        await together(partial(start, plan) for plan in plans if (plan.role is Role.APP) is is_app)
        await _refuse_dead(engine, [started[plan.name] for plan in plans if plan.name in started])
    return tuple(started[plan.name] for plan in plans)


async def _start(engine: Engine, plan: Plan, container: str, network: str | None) -> Started:
    try:
        await engine.call(engine.api.start, container)
    except EngineRefused as refused:
        raise StackFailed(f"{plan.name} cannot be started: {refused.reason}") from refused
    found = await engine.call(engine.api.inspect_container, container)
    pid = int(found["State"]["Pid"])
    return Started(
        plan=plan,
        id=container,
        pid=pid,
        started=labels.start_ticks(pid) if pid else None,
        host=found["NetworkSettings"]["Networks"][network]["IPAddress"] if network else LOOPBACK,
        published=_published(plan, found["NetworkSettings"]["Ports"] or {}),
    )


async def _refuse_dead(engine: Engine, started: Sequence[Started]) -> None:
    """A replica is blamed before nginx, which cannot find its upstream any more."""
    if all(container.alive for container in started):
        return
    event = await engine.call(post_mortem, engine, started)
    if event is not None:
        raise StackFailed(f"{event.message} at its start", details=event.log)
    raise EnvironmentLacks(
        "the processes of the containers are not visible on this machine",
        hint="the Docker Engine runs in a virtual machine, or this runner in a container; containers are"
        " watched through this machine's own counters, so both have to run on it",
    )


def _published(plan: Plan, ports: dict[str, Any]) -> int | None:
    bindings = ports.get(f"{plan.port}/tcp") if plan.published else None
    return int(bindings[0]["HostPort"]) if bindings else None


def _refuse_taken_ports(plans: Sequence[Plan]) -> None:
    for plan in plans:
        if not is_free(plan.port):
            by_whom = "".join(f" by {holder.owner}" for holder in holders(plan.port)[:1])
            raise EnvironmentLacks(
                f"port {plan.port} is already in use{by_whom}, and {plan.name} needs it",
                hint="with `network: host` replicas listen on app.port, app.port + 1, …: choose another",
            )
