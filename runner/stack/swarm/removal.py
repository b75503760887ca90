"""Removes what runs have in a swarm, and nothing else: objects are found by Loadproof's labels only.

The manager removes tasks some seconds after their service, so removal repeats until they are gone. A task of
a node that is down is removed by the swarm when that node is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker import labels
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently
from runner.stack.docker.responses import NetworkSummary
from runner.stack.swarm.manager import list_nodes
from runner.stack.swarm.responses import SwarmObject
from runner.stack.swarm.tasks import list_tasks

_ROUND_S: Final[Seconds] = 0.1
_MAX_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """A service, config, secret or overlay network with Loadproof's label."""

    kind: str
    id: str
    name: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


async def find_objects(engine: Engine, label: str | list[str]) -> list[LabelledObject]:
    """Return the objects of the swarm with a label, or with all of several, services first.

    Raises:
        EnvironmentLacks: The manager does not answer.
    """
    filters = {"label": label}
    api = engine.api
    functions: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("service", api.services),
        ("config", api.configs),
        ("secret", api.secrets),
    )
    found = []
    for kind, function in functions:
        objects = await engine.read(tuple[SwarmObject, ...], function, filters=filters)
        found += [LabelledObject(kind, item.id, item.spec.name, item.spec.labels or {}) for item in objects]
    overlays = {"label": label, "driver": "overlay"}
    networks = await engine.read(tuple[NetworkSummary, ...], api.networks, filters=overlays)
    return found + [LabelledObject("network", item.id, item.name, item.labels or {}) for item in networks]


async def remove_objects(engine: Engine, objects: list[LabelledObject]) -> None:
    """Remove services concurrently, then the rest, which cannot be removed before them."""
    removals: Mapping[str, Callable[[str], object]] = {
        "service": engine.api.remove_service,
        "config": engine.api.remove_config,
        "secret": engine.api.remove_secret,
        "network": engine.api.remove_network,
    }

    async def remove(item: LabelledObject) -> None:
        try:
            await engine.call(removals[item.kind], item.id)
        except EngineRefused:
            await trio.sleep(_ROUND_S)  # it is gone already or still in use: the next round looks again

    for first in (True, False):
        await run_concurrently(partial(remove, item) for item in objects if (item.kind == "service") is first)


async def remove_swarm_run(engine: Engine, run_id: str) -> str:
    """Remove every object of one run, including those still being created, and wait for the end of its tasks.

    Returns:
        What is left on nodes that are down, empty for nothing.

    Raises:
        EnvironmentLacks: The manager stopped responding.
    """
    label = f"{labels.RUN}={run_id}"
    while True:
        objects = await find_objects(engine, label)
        await remove_objects(engine, objects)
        waiting, lost = await _tasks_left(engine, label)
        if not objects and not waiting and not engine.pending:
            return lost
        await trio.sleep(_ROUND_S)


async def remove_plan(engine: Engine, label: list[str]) -> None:
    """Remove the service with these labels and its files, and wait for the end of its tasks.

    Raises:
        EnvironmentLacks: The manager stopped responding.
    """
    while True:
        objects = [item for item in await find_objects(engine, label) if item.kind != "network"]
        await remove_objects(engine, objects)
        waiting, _ = await _tasks_left(engine, label)
        if not objects and not waiting:
            return
        await trio.sleep(_ROUND_S)


async def sweep_swarm(engine: Engine, *, everything: bool = False) -> list[str]:
    """Remove what dead owners left in the swarm.

    Args:
        engine: A manager's.
        everything: Also remove what live runs have.

    Returns:
        The names of what was removed.

    Raises:
        StackFailed: The manager does not remove something.
    """
    removed: dict[str, None] = {}
    for _ in range(_MAX_ROUNDS):
        objects = [
            item
            for item in await find_objects(engine, labels.RUN)
            if everything or labels.owner_is_gone(item.labels)
        ]
        if not objects:
            return list(removed)
        await remove_objects(engine, objects)
        removed.update((str(item), None) for item in objects)
    raise StackFailed(f"the swarm does not remove {', '.join(map(str, objects))}")


async def _tasks_left(engine: Engine, label: str | list[str]) -> tuple[bool, str]:
    """Return whether tasks are left that will go soon, and a clause about those that will not."""
    tasks = await list_tasks(engine, {"label": label})
    placed = {task.node_id for task in tasks}
    if not placed:
        return False, ""
    nodes = await list_nodes(engine)
    down = {node.id: node.name for node in nodes if node.state in {"down", "unknown", "disconnected"}}
    names = ", ".join(name for node_id, name in down.items() if node_id in placed)
    lost = f"containers on {names}, which the swarm removes when it is back" if names else ""
    return bool(placed - set(down)), lost
