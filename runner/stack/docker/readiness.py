"""Waits until a container is ready, and explains why it is not."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.codes import Role
from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine
from runner.stack.docker.listening import listening_hint
from runner.stack.docker.stack import Container, last_lines, post_mortem
from runner.stack.ports import LOOPBACK
from runner.stack.readiness import Check, wait_for, wait_ready


async def wait_until_ready(
    engine: Engine,
    containers: Sequence[Container],
    container: Container,
    ready: Check | str,
    *,
    within: Seconds,
) -> None:
    """Wait until a container is ready.

    Args:
        engine: Runs it.
        containers: All of the stack, one of which may be the cause of a failure.
        container: It.
        ready: How to tell; a URL has to respond with a 2xx status.
        within: How long it may take.

    Raises:
        StackFailed: A container ended, or it was not ready in time.
        EnvironmentLacks: The check is not possible.
    """

    def death() -> str | None:
        return None if container.alive else "ended"

    wait = wait_ready if isinstance(ready, str) else wait_for
    try:
        await wait(ready, deadline_s=within, alive=death, name=container.plan.title)  # type: ignore[arg-type]
    except StackFailed as failed:
        raise await _explained(engine, containers, container, failed) from failed


async def _explained(
    engine: Engine, containers: Sequence[Container], container: Container, failed: StackFailed
) -> StackFailed:
    """Return the failure with the container's own last output."""
    event = await engine.call(post_mortem, engine, containers)
    if event is not None:
        return StackFailed(f"{event.message} before it was ready", details=event.log)
    log = await engine.call(last_lines, engine, container)
    return StackFailed(failed.message, hint=_hint(container) or failed.hint, details=log)


def _hint(container: Container) -> str:
    """Return where an app listens instead; nothing on the host's network, where everything listens."""
    plan = container.plan
    on_host = container.host == LOOPBACK
    return (
        "" if plan.role != Role.APP or on_host else listening_hint(container, plan.port, "topology.app.port")
    )
