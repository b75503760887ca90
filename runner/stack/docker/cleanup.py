"""Removes what runs created, and nothing else: objects are only ever found by our label.

The engine may still be creating an object when its run is cancelled or killed, so removal
goes in rounds until a look finds nothing and no call of ours is under way.
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
from runner.stack.docker.engine import Engine, EngineGone, EngineRefused, connect, knock, together

_ROUND_S: Final[Seconds] = 0.1
_ROUNDS: Final = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A container or network with our label."""

    kind: str
    id: str
    name: str
    labels: Mapping[str, str]


async def remove_run(engine: Engine, run_id: str) -> None:
    """Remove every container and network of one run, those still being created included.

    Raises:
        EngineGone: Nothing can be removed any more.
    """
    while True:
        found = await _find(engine, f"{labels.RUN}={run_id}")
        await _remove_all(engine, found)
        if not found and not engine.pending:
            return
        if not found:
            await trio.sleep(_ROUND_S)


async def sweep(engine: Engine) -> list[str]:
    """Remove what dead owners left behind.

    Returns:
        The names of what was removed.
    """
    return await _remove_where(engine, lambda found: labels.owner_is_gone(found.labels))


async def clean(*, everything: bool) -> list[str]:
    """Remove what is left of earlier runs on this machine's engine.

    Args:
        everything: Also what belongs to runs that are still alive, and the images that were
            built here.

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


async def _remove_where(engine: Engine, wanted: Callable[[Found], bool]) -> list[str]:
    removed: dict[str, None] = {}
    refusals: list[str] = []
    for _ in range(_ROUNDS):
        found = [item for item in await _find(engine, labels.RUN) if wanted(item)]
        if not found:
            return list(removed)
        refusals = await _remove_all(engine, found)
        removed.update((f"{item.kind} {item.name}", None) for item in found)
    names = ", ".join(f"{item.kind} {item.name}" for item in found)
    raise StackFailed(f"the engine does not remove {names}", details=tuple(refusals))


async def _find(engine: Engine, label: str) -> list[Found]:
    filters = {"label": label}
    containers = await engine.call(engine.api.containers, all=True, filters=filters)
    networks = await engine.call(engine.api.networks, filters=filters)
    return [
        *(_found("container", item, item["Names"][0].lstrip("/")) for item in containers),
        *(_found("network", item, item["Name"]) for item in networks),
    ]


def _found(kind: str, item: Mapping[str, Any], name: str) -> Found:
    return Found(kind, item["Id"], name, item["Labels"] or {})


async def _remove_all(engine: Engine, found: list[Found]) -> list[str]:
    """Remove containers together, then networks, which cannot go before them.

    Returns:
        Why the engine refused some. One that is gone or on its way out already is no fault:
        the next round looks again.
    """
    refusals: list[str] = []

    async def remove(item: Found) -> None:
        try:
            await engine.call(_removal(engine, item))
        except EngineRefused as refused:
            refusals.append(refused.reason)

    for kind in ("container", "network"):
        await together(partial(remove, item) for item in found if item.kind == kind)
    if refusals:
        await trio.sleep(_ROUND_S)
    return refusals


def _removal(engine: Engine, item: Found) -> Callable[[], None]:
    if item.kind == "network":
        return partial(engine.api.remove_network, item.id)
    return partial(engine.api.remove_container, item.id, v=True, force=True)


async def _remove_images(engine: Engine) -> list[str]:
    removed = []
    for image in await engine.call(engine.api.images, filters={"label": labels.IMAGE}):
        for tag in image["RepoTags"] or [image["Id"]]:
            try:
                await engine.call(engine.api.remove_image, tag)
            except EngineRefused:
                continue  # in use by a container that is not ours
            removed.append(f"image {tag}")
    return removed


async def take_down(engine: Engine, run_id: str, *, within: Seconds) -> str | None:
    """Remove a run's objects whatever happens around: shielded, bounded, never raising.

    Returns:
        None, or in one sentence what may be left.
    """
    with trio.move_on_after(within, shield=True):
        try:
            knock(engine.base_url)
            await remove_run(engine, run_id)
        except EngineGone as gone:
            return f"containers may be left: {gone.message}; `runner clean` removes them"
        return None
    return f"containers may be left: the engine did not remove them in {within:g} s; run `runner clean`"
