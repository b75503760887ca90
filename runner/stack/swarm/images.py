"""Names images so that all nodes run the same: by the digest in a registry, or by the full id.

A tag may mean something else on each node, so only digests and full ids are used: with them all nodes run the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import trio
from msgspec import Struct

from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.images import Image
from runner.stack.docker.responses import Id, Progress
from runner.stack.swarm.push_progress import PushProgress

if TYPE_CHECKING:
    from runner.stack.swarm.placer import SwarmPlacer

Key = TypeVar("Key", bound=Hashable)

_PUSH_SILENCE_S: Final[Seconds] = 60.0


class _Descriptor(Struct, frozen=True):
    """What a registry calls an image."""

    digest: Id


class _Distribution(Struct, frozen=True, rename="pascal"):
    """A registry's answer about an image."""

    descriptor: _Descriptor


async def pin_images(
    placer: SwarmPlacer, images: Mapping[Key, Image], registry: str | None, say: Callable[[str], None]
) -> dict[Key, str]:
    """Return for each image a name by which all nodes that need it run the same.

    Nodes are not asked here for what they have: `missing_images.refuse_missing` does that.

    Args:
        placer: Whose engine has the images.
        images: Any key to an image on that engine.
        registry: Where they are pushed to; None if every node has what it needs.
        say: Shows the user a line of progress.

    Raises:
        StackFailed: The registry does not take one.
    """
    if not registry:
        return {key: image.id for key, image in images.items()}
    pushed: dict[str, str] = {}
    for image in images.values():
        pushed[image.id] = pushed.get(image.id) or await push(placer.engine, image, registry, say)
    return {key: pushed[image.id] for key, image in images.items()}


async def push(engine: Engine, image: Image, registry: str, say: Callable[[str], None]) -> str:
    """Push an image to a registry, and return its name there with the digest.

    Raises:
        StackFailed: The registry does not take it.
    """
    name, _, tag = image.name.rpartition("/")[2].partition(":")
    repository, tag = f"{registry.rstrip('/')}/{name}", tag or image.id.rpartition(":")[2][:12]
    where = f"{repository}:{tag}"
    try:
        await engine.call(partial(engine.api.tag, image.id, repository, tag, force=True))
        say(f"pushing {where}")
        pushed = await _push(engine, repository, tag)
        if pushed.error:
            raise StackFailed(
                f"{where} cannot be pushed: {pushed.error}", hint=_push_hint(pushed.error, registry)
            )
        answer = await engine.read(_Distribution, engine.api.inspect_distribution, where)
    except EngineRefused as refused:
        raise StackFailed(
            f"{where} cannot be pushed: {refused.reason}", hint=_push_hint(refused.reason, registry)
        ) from refused
    digest = answer.descriptor.digest
    if pushed.digest and pushed.digest != digest:
        raise StackFailed(
            f"{where} was pushed as {pushed.digest}, and the registry has {digest} under that name",
            hint="something else pushes the same name, or the registry changes images: use another prefix or "
            "another registry",
        )
    return f"{repository}@{digest}"


async def _push(engine: Engine, repository: str, tag: str) -> PushProgress:
    """Push as long as the registry takes something."""
    progress = PushProgress()
    with trio.CancelScope(deadline=trio.current_time() + _PUSH_SILENCE_S) as patience:

        def on_item(item: Progress) -> None:
            if progress.take(item):
                patience.deadline = trio.current_time() + _PUSH_SILENCE_S

        await engine.stream(
            await engine.call(partial(engine.api.push, repository, tag=tag, stream=True)), on_item
        )
    if patience.cancelled_caught:
        progress.error = f"the registry took nothing for {_PUSH_SILENCE_S:g} s"
    return progress


def _push_hint(reason: str, registry: str) -> str:
    if "server gave HTTP response to HTTPS client" in reason:
        host = registry.partition("/")[0]
        return (
            f"add {host} to `insecure-registries` of every node's engine, or give the registry a certificate"
        )
    if "denied" in reason or "unauthorized" in reason or "authentication" in reason:
        return f"log in with `docker login {registry.partition('/')[0]}`"
    return "the engine in DOCKER_HOST must reach the registry: `docker push` shows more"
