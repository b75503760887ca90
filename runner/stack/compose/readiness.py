"""Waits until every container of a project is up and healthy, and the target responds; or says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.experiment.compose_topology import ComposeTopology
from runner.stack.compose.containers import Details, find_containers
from runner.stack.compose.tool import Finished
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable, run_concurrently
from runner.stack.docker.listening import listening_hint
from runner.stack.docker.stack import Container, log_lines
from runner.stack.exit_status import describe_exit
from runner.stack.readiness import accepts, wait_for, wait_ready

_LOOK_INTERVAL_S: Final[Seconds] = 0.2
_MAX_REASON: Final = 500
_NOT_LISTENING: Final = "set topology.target.port to the port that it listens on in its container"


async def wait_up(
    engine: Engine, run_id: str, topology: ComposeTopology, secrets: Mapping[str, str]
) -> list[Details]:
    """Return the containers as soon as each of them runs and is healthy, or completed its task.

    Raises:
        StackFailed: One failed, or is not ready in time; `details` are its last lines.
    """
    waiting: list[Details] = []
    with trio.move_on_after(topology.ready_within):
        next_look = trio.current_time()
        while True:
            found = await find_containers(engine, run_id)
            await raise_if_failed(engine, found, topology, secrets)
            waiting = [item for item in found if item.condition == "waiting"]
            if not waiting:
                return found
            next_look = max(next_look + _LOOK_INTERVAL_S, trio.current_time())
            await trio.sleep_until(next_look)
    names = ", ".join(dict.fromkeys(item.service for item in waiting)) or "the containers"
    details = await _last_lines(engine, waiting[0], secrets) if waiting else ()
    raise StackFailed(
        f"{names} did not become ready within {topology.ready_within:g} s",
        hint="the health check in the compose file must pass; topology.ready_within sets the time limit",
        details=details,
    )


async def explain_start(
    engine: Engine, run_id: str, topology: ComposeTopology, finished: Finished, secrets: Mapping[str, str]
) -> StackFailed:
    """Return why Compose could not start the project: a container that failed, or its own message."""
    try:
        await raise_if_failed(engine, await find_containers(engine, run_id), topology, secrets)
    except StackFailed as failed:
        return failed
    reason = finished.lines[-1] if finished.lines else f"it exited with status {finished.status}"
    return StackFailed(f"Compose did not start the services: {reason}", details=finished.lines)


async def raise_if_failed(
    engine: Engine, found: Sequence[Details], topology: ComposeTopology, secrets: Mapping[str, str]
) -> None:
    """Raise StackFailed if a container ended, except a completed task, or is unhealthy."""
    for item in found:
        if item.condition == "failed" or (
            item.condition == "completed" and item.service == topology.target.service
        ):
            log = await _last_lines(engine, item, secrets)
            raise StackFailed(f"{item.service} {_how(item)}", details=log)


def _how(item: Details) -> str:
    state = item.state
    if state.error and not state.running:
        return f"could not be started: {' '.join(state.error.split())[:_MAX_REASON]}"
    if state.oom_killed:
        return "exceeded its memory limit at its start"
    if state.running:
        return "is unhealthy at its start"
    status = state.exit_code  # as a shell reports signals
    return f"{describe_exit(128 - status if 128 < status < 193 else status)} at its start"


async def _last_lines(engine: Engine, item: Details, secrets: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return await engine.call(log_lines, engine, item.id, secrets)
    except (EngineRefused, EngineUnavailable):
        return ()


async def wait_target(
    engine: Engine, topology: ComposeTopology, targets: Sequence[Container], published: tuple[str, int] | None
) -> None:
    """Wait until every container of the target responds, then until the path that the load takes does.

    Raises:
        StackFailed: One does not; `details` are its last lines.
    """
    port = topology.target.port

    async def wait(container: Container, host: str, port: int) -> None:
        try:
            await _wait(topology, container, host, port)
        except StackFailed as failed:
            hint = listening_hint(container, topology.target.port, "topology.target.port") or failed.hint
            log = await engine.call(log_lines, engine, container.id, _masked(container))
            raise StackFailed(failed.message, hint=hint, details=log) from failed

    await run_concurrently(partial(wait, container, container.host, port) for container in targets)
    if published:
        await wait(targets[0], *published)


def _masked(container: Container) -> dict[str, str]:
    return {**container.plan.secrets, **container.plan.request_secrets}


async def _wait(topology: ComposeTopology, container: Container, host: str, port: int) -> None:
    wait = partial(
        wait_for,
        deadline_s=topology.ready_within,
        alive=lambda: None if container.alive else "ended",
        name=topology.target.service,
    )
    if topology.health is not None:
        await wait_ready(f"http://{host}:{port}{topology.health}", **wait.keywords)
    else:
        await wait(accepts(host, port, hint=_NOT_LISTENING))
