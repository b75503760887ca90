"""Removes what runs have in a swarm, and nothing else: objects are found by Loadproof's labels only.

The manager removes tasks some seconds after their service, so removal repeats until they are gone. A task of
a node that is down is removed by the swarm when that node is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker import labels
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently
from runner.stack.docker.responses import ContainerSummary, NetworkSummary
from runner.stack.swarm.responses import EngineInfo, SwarmObject
from runner.stack.swarm.task_ends import TaskEnds

_ROUND_S: Final[Seconds] = 0.2
_MAX_ROUNDS: Final = 50
_SHARED: Final = [f"{label}={value}" for label, value in labels.SHARED.items()]


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """A service, config, secret or overlay network with Loadproof's label, or a hub's container.

    Attributes:
        created: By the clock of the manager, in seconds since 1970; None where that is not known.
    """

    kind: str
    id: str
    name: str
    labels: Mapping[str, str]
    created: Seconds | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


async def find_objects(engine: Engine, label: Sequence[str]) -> list[LabelledObject]:
    """Return what a manager has with all of some labels, services first.

    Raises:
        EnvironmentLacks: The manager does not answer.
    """
    wanted = [*label, *_SHARED]
    api = engine.api
    functions: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("service", api.services),
        ("config", api.configs),
        ("secret", api.secrets),
    )
    found: list[LabelledObject] = []
    for kind, function in functions:
        objects = await engine.read(tuple[SwarmObject, ...], function, filters={"label": wanted})
        found += [
            LabelledObject(kind, item.id, item.spec.name, item.spec.labels or {}, _seconds(item.created_at))
            for item in objects
        ]
    hubs = await engine.read(
        tuple[ContainerSummary, ...], api.containers, all=True, filters={"label": wanted}
    )
    found += [
        LabelledObject("container", hub.id, hub.names[0].lstrip("/"), hub.labels or {}, hub.created)
        for hub in hubs
    ]
    overlays = {"label": wanted, "driver": "overlay"}
    networks = await engine.read(tuple[NetworkSummary, ...], api.networks, filters=overlays)
    return found + [
        LabelledObject("network", item.id, item.name, item.labels or {}, _seconds(item.created))
        for item in networks
    ]


def _seconds(instant: datetime | None) -> Seconds | None:
    return instant.timestamp() if instant else None


async def remove_objects(engine: Engine, objects: list[LabelledObject]) -> None:
    """Remove services and containers concurrently, then the rest, which cannot be removed before them."""
    removals: Mapping[str, Callable[[str], object]] = {
        "service": engine.api.remove_service,
        "container": partial(engine.api.remove_container, v=True, force=True),
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
        await run_concurrently(
            partial(remove, item) for item in objects if (item.kind in {"service", "container"}) is first
        )


async def remove_swarm_run(engine: Engine, run_id: str, ends: TaskEnds, left: list[str]) -> str:
    """Remove every object of one run, including those still being created, and wait for the end of its tasks.

    Args:
        engine: A manager's.
        run_id: Of the run.
        ends: Waits for the end of tasks.
        left: Gets the names of the objects that there still were at the last look.

    Returns:
        What is left on nodes that are down, empty for nothing.

    Raises:
        EnvironmentLacks: The manager stopped responding.
    """
    label = [f"{labels.RUN}={run_id}"]
    while True:
        objects = await find_objects(engine, label)
        left[:] = [str(item) for item in objects]
        await remove_objects(engine, [item for item in objects if item.kind != "network"])
        on_nodes = await ends.wait(label)
        await remove_objects(engine, [item for item in objects if item.kind == "network"])
        if not objects and not engine.pending:
            return on_nodes
        await trio.sleep(_ROUND_S if engine.pending else 0)


async def remove_plan(engine: Engine, label: Sequence[str], ends: TaskEnds | None = None) -> None:
    """Remove the service with these labels and its files.

    Args:
        engine: A manager's.
        label: Of the plan.
        ends: Waits for the end of its tasks; None not to wait.

    Raises:
        EnvironmentLacks: The manager stopped responding.
    """
    while objects := [item for item in await find_objects(engine, label) if item.kind != "network"]:
        await remove_objects(engine, objects)
    if ends:
        await ends.wait(label)


def _age(created: Seconds | None, now: Seconds | None) -> Seconds | None:
    return None if created is None or now is None else now - created


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
        left = await find_objects(engine, [labels.RUN])
        now = _seconds((await engine.read(EngineInfo, engine.api.info)).system_time) if left else None
        objects = [
            item for item in left if everything or labels.owner_is_gone(item.labels, _age(item.created, now))
        ]
        if not objects:
            return list(removed)
        await remove_objects(engine, objects)
        removed.update((str(item), None) for item in objects)
    raise StackFailed(
        f"the swarm does not remove {', '.join(map(str, objects))}; if it still says so a minute later, "
        "restart the engine of the manager"
    )
