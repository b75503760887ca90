"""Removes what runs created, and nothing else: objects are found by Loadproof's labels only.

The engine may still be creating an object when its run is cancelled or killed, so removal
repeats until nothing is found and no call of this run is pending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker import labels
from runner.stack.docker.engine import (
    Engine,
    EngineRefused,
    EngineUnavailable,
    check_reachable,
    connect,
    run_concurrently,
)
from runner.stack.docker.responses import ContainerSummary, ImageSummary, NetworkSummary, VolumeList

_ROUND_S: Final[Seconds] = 0.1
_MAX_ROUNDS: Final = 50


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """A container, network or volume with Loadproof's label."""

    kind: Literal["container", "network", "volume"]
    id: str
    name: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


async def remove_run(engine: Engine, run_id: str) -> None:
    """Remove every container, network and volume of one run, including those still being created.

    Raises:
        EngineUnavailable: The engine stopped responding.
    """
    while True:
        objects = await _find(engine, f"{labels.RUN}={run_id}")
        await _remove_all(engine, objects)
        if not objects and not engine.pending:
            return
        if not objects:
            await trio.sleep(_ROUND_S)


async def sweep(engine: Engine) -> list[str]:
    """Remove what dead owners left behind.

    Returns:
        The names of what was removed.
    """
    return await _remove_where(engine, lambda item: labels.owner_is_gone(item.labels))


async def clean(*, everything: bool) -> list[str]:
    """Remove what earlier runs left on this machine's engine.

    Args:
        everything: Also remove objects of runs that are still alive, and images that were built here.

    Returns:
        What was removed, such as ``container loadproof-…-app-1``.

    Raises:
        EnvironmentLacks: There is no engine that may be used.
    """
    engine = await connect()
    try:
        if not everything:
            return await sweep(engine)
        removed = await _remove_where(engine, lambda _: True)
        return removed + await _remove_images(engine)
    finally:
        engine.close()


async def _remove_where(engine: Engine, condition: Callable[[LabelledObject], bool]) -> list[str]:
    removed: dict[str, None] = {}
    refusals: list[str] = []
    for _ in range(_MAX_ROUNDS):
        objects = [item for item in await _find(engine, labels.RUN) if condition(item)]
        if not objects:
            return list(removed)
        refusals = await _remove_all(engine, objects)
        removed.update((str(item), None) for item in objects)
    names = ", ".join(map(str, objects))
    raise StackFailed(f"the Docker Engine does not remove {names}", details=tuple(refusals))


async def _find(engine: Engine, label: str) -> list[LabelledObject]:
    """Return what an engine has with a label, without what `runner.stack.swarm` removes."""
    filters = {"label": label}
    containers = await engine.read(
        tuple[ContainerSummary, ...], engine.api.containers, all=True, filters=filters
    )
    networks = await engine.read(tuple[NetworkSummary, ...], engine.api.networks, filters=filters)
    containers = tuple(item for item in containers if not labels.is_shared(item.labels))
    networks = tuple(item for item in networks if not labels.is_shared(item.labels))
    volumes = await engine.read(VolumeList, engine.api.volumes, filters=filters)
    return [
        *(
            LabelledObject("container", item.id, item.names[0].lstrip("/"), item.labels or {})
            for item in containers
        ),
        *(LabelledObject("network", item.id, item.name, item.labels or {}) for item in networks),
        *(
            LabelledObject("volume", item.name, item.name, item.labels or {})
            for item in volumes.volumes or ()
        ),
    ]


async def _remove_all(engine: Engine, objects: list[LabelledObject]) -> list[str]:
    """Remove all containers concurrently, then networks and volumes, which cannot be removed before them.

    Returns:
        Why the engine refused some. An object that is gone or being removed already is no
        fault: the next round looks again.
    """
    refusals: list[str] = []

    async def remove(item: LabelledObject) -> None:
        try:
            await engine.call(_removal(engine, item))
        except EngineRefused as refused:
            refusals.append(refused.reason)

    for first in (True, False):
        await run_concurrently(
            partial(remove, item) for item in objects if (item.kind == "container") is first
        )
    if refusals:
        await trio.sleep(_ROUND_S)
    return refusals


def _removal(engine: Engine, item: LabelledObject) -> Callable[[], None]:
    if item.kind == "network":
        return partial(engine.api.remove_network, item.id)
    if item.kind == "volume":
        return partial(engine.api.remove_volume, item.id)
    return partial(engine.api.remove_container, item.id, v=True, force=True)


async def _remove_images(engine: Engine) -> list[str]:
    removed = []
    images = await engine.read(tuple[ImageSummary, ...], engine.api.images, filters={"label": labels.IMAGE})
    for image in images:
        for tag in image.repo_tags or [image.id]:
            try:
                await engine.call(engine.api.remove_image, tag)
            except EngineRefused:
                continue  # a container that is not Loadproof's uses it
            removed.append(f"image {tag}")
    return removed


async def take_down(engine: Engine, run_id: str, *, within: Seconds) -> str | None:
    """Remove a run's objects in any case: shielded, bounded, never raising.

    Returns:
        None, or a sentence about what may be left.
    """
    with trio.move_on_after(within, shield=True):
        try:
            check_reachable(engine.base_url)
            await remove_run(engine, run_id)
        except EngineUnavailable as error:
            return f"containers may be left: {error.message}; `runner clean` removes them"
        return None
    return f"containers may be left: the engine did not remove them in {within:g} s; run `runner clean`"
