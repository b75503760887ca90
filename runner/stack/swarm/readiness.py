"""Waits until parts on nodes are ready, as another node of the cluster sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed, open_nursery
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.facts import Event
from runner.core.units import Seconds
from runner.stack.readiness import Check, LastProbe, wait_for
from runner.stack.swarm.monitor import Monitor
from runner.stack.swarm.parts import PartTask, bracketed

_PROBE_WITHIN_S: Final[Seconds] = 5.0
_LISTENS_HINT: Final = "it must listen on this port, on all addresses (0.0.0.0)"


async def wait_until_ready(
    monitor: Monitor,
    cluster: Cluster,
    one: PartTask,
    path: str | None,
    *,
    within: Seconds,
    port: int | None = None,
) -> None:
    """Wait until a task is ready.

    Args:
        monitor: Has its output.
        cluster: Looks at it from another node, where there is one.
        one: The task.
        path: Of the GET that has to return a 2xx status; None if a connection suffices.
        within: How long it may take.
        port: Another port to connect to than its own.

    Raises:
        StackFailed: It was not ready in time.
        EnvironmentLacks: No node can look at it.
    """
    check = _responds(cluster, one, port or one.port, path)
    try:
        await wait_for(check, deadline_s=within, alive=lambda: None, name=one.title)
    except StackFailed as failed:
        log = await monitor.last_lines(one)
        raise StackFailed(failed.message, hint=failed.hint, details=log) from failed


async def all_ready(monitor: Monitor, jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Wait until all jobs are done, unless a task of the stack ends before.

    Raises:
        StackFailed: A task ended, or what a job raises.
    """
    ended: list[Event] = []

    async def watch() -> None:
        ended.append(await monitor.wait_broken())
        outer.cancel_scope.cancel()

    async with open_nursery() as outer:
        outer.start_soon(watch)
        async with open_nursery() as inner:
            for job in jobs:
                inner.start_soon(job)
        outer.cancel_scope.cancel()
    if ended:
        raise StackFailed(f"{ended[0].message} before it was ready", details=ended[0].log)


def witness(cluster: Cluster, one: PartTask) -> str:
    """Return the name of the node that looks at a task: another one than its own, where there is one.

    Raises:
        EnvironmentLacks: No agent is left.
    """
    names = sorted(
        (name for name in cluster.agents if name not in cluster.lost),
        key=lambda name: (name == one.node.name, name),
    )
    if not names:
        raise EnvironmentLacks("no node of the swarm has an agent that can look at the system")
    return names[0]


def _responds(cluster: Cluster, one: PartTask, port: int, path: str | None) -> Check:
    async def look(last: LastProbe) -> bool:
        node = witness(cluster, one)
        try:
            probe = await cluster.probe(node, one.host, port, path, within=_PROBE_WITHIN_S)
        except AgentFailed as failed:  # the next look is another node's
            last.outcome = failed.message
            return False
        if probe.error:
            last.outcome, last.hint = f"seen from {node}: {probe.error}", _LISTENS_HINT
            return False
        if path is not None and not 200 <= (probe.status or 0) < 300:
            last.outcome, last.hint = (
                f"the last status was {probe.status}",
                "set `health` to a path that returns 2xx",
            )
            return False
        return True

    if path is None:
        return Check(
            look, f"{bracketed(one.host)}:{port} never accepted a connection", "it accepted a connection"
        )
    url = f"http://{bracketed(one.host)}:{port}{path}"
    return Check(look, f"GET {url} never returned 2xx", f"{url} responded")
