"""Brings images to the nodes: through a registry, or by proving that they are there already.

A tag may mean something else on each node, so only digests and full ids are used: with them all nodes run the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import trio
from msgspec import Struct

from runner.cluster.placement import Node, TaskPlan
from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.experiment.suggestions import join_words
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently
from runner.stack.docker.images import Image
from runner.stack.docker.responses import Id, Progress
from runner.stack.swarm.manager import own_node
from runner.stack.swarm.tasks import NO_IMAGE

if TYPE_CHECKING:
    from runner.stack.swarm.placer import SwarmPlacer

Key = TypeVar("Key", bound=Hashable)

_PUSH_SILENCE_S: Final[Seconds] = 60.0
_NOTHING: Final = ("/loadproof-runs-nothing",)
_ASKED_WITHIN_S: Final[Seconds] = 20.0


class _Descriptor(Struct, frozen=True):
    """What a registry calls an image."""

    digest: Id


class _Distribution(Struct, frozen=True, rename="pascal"):
    """A registry's answer about an image."""

    descriptor: _Descriptor


async def pin_images(
    placer: SwarmPlacer,
    images: Mapping[Key, tuple[Image, Sequence[Node]]],
    registry: str | None,
    say: Callable[[str], None],
) -> dict[Key, str]:
    """Return for each image a name by which all nodes that need it run the same.

    Args:
        placer: Whose engine has the images.
        images: Any key to an image on that engine and the nodes where it may run.
        registry: Where they are pushed to; None if every node has what it needs.
        say: Shows the user a line of progress.

    Raises:
        StackFailed: The registry does not take one, or a node lacks one.
    """
    if registry:
        pushed: dict[str, str] = {}
        for image, _ in images.values():
            pushed[image.id] = pushed.get(image.id) or await push(placer.engine, image, registry, say)
        return {key: pushed[image.id] for key, (image, _) in images.items()}
    await _refuse_missing(placer, list(images.values()))
    return {key: image.id for key, (image, _) in images.items()}


async def _refuse_missing(placer: SwarmPlacer, wanted: Sequence[tuple[Image, Sequence[Node]]]) -> None:
    own = await own_node(placer.engine)
    missing: dict[str, tuple[Image, list[Node]]] = {}

    async def look(image: Image, nodes: Sequence[Node]) -> None:
        if lacking := await nodes_without(placer, image.id, [node for node in nodes if node.id != own.id]):
            missing[image.id] = (image, lacking)

    by_id = {image.id: (image, nodes) for image, nodes in wanted}
    await run_concurrently(partial(look, *one) for one in by_id.values())
    if not missing:
        return
    lines = [_lacking(image, nodes) for image, nodes in missing.values()]
    names = " ".join(image.name for image, _ in missing.values())
    raise StackFailed(
        lines[0] if len(lines) == 1 else "nodes lack images",
        hint=f"copy with `docker save {names} | ssh NODE docker load`, or name a registry that all nodes "
        "reach: topology.registry",
        details=tuple(lines) if len(lines) > 1 else (),
    )


def _lacking(image: Image, nodes: Sequence[Node]) -> str:
    names = join_words([node.name for node in nodes], "and")
    return f"{names} {'lacks' if len(nodes) == 1 else 'lack'} the image {image.name} ({image.id[:19]})"


async def nodes_without(placer: SwarmPlacer, image: str, nodes: Sequence[Node]) -> list[Node]:
    """Return those of some nodes that lack an image; a node that does not answer counts as one that has it.

    Only its own engine knows what a node has, and a manager passes on no question but tasks. A task whose
    command does not exist ends at once: for another reason where the image is missing.

    Args:
        placer: Asks them.
        image: Its full id.
        nodes: Ready ones.

    Raises:
        StackFailed: The swarm takes no tasks.
    """
    if not nodes:
        return []
    name = f"has-{image.rpartition(':')[2][:12]}"
    plan = TaskPlan(name=name, image=image, entrypoint=_NOTHING, one_per_node=True)
    reasons = await placer.reasons(plan, within=_ASKED_WITHIN_S)
    return [node for node in nodes if NO_IMAGE in reasons.get(node.id, "")]


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
        reason = await _push(engine, repository, tag)
        if reason:
            raise StackFailed(f"{where} cannot be pushed: {reason}", hint=_push_hint(reason, registry))
        answer = await engine.read(_Distribution, engine.api.inspect_distribution, where)
    except EngineRefused as refused:
        raise StackFailed(
            f"{where} cannot be pushed: {refused.reason}", hint=_push_hint(refused.reason, registry)
        ) from refused
    return f"{repository}@{answer.descriptor.digest}"


async def _push(engine: Engine, repository: str, tag: str) -> str:
    """Push as long as the registry keeps answering; return why it failed, empty if it did not."""
    errors: list[str] = []
    with trio.CancelScope(deadline=trio.current_time() + _PUSH_SILENCE_S) as patience:

        def on_item(item: Progress) -> None:
            patience.deadline = trio.current_time() + _PUSH_SILENCE_S
            if item.error:
                errors[:] = [item.error]

        await engine.stream(
            await engine.call(partial(engine.api.push, repository, tag=tag, stream=True)), on_item
        )
    if patience.cancelled_caught:
        return "the registry does not respond"
    return errors[-1] if errors else ""


def _push_hint(reason: str, registry: str) -> str:
    if "server gave HTTP response to HTTPS client" in reason:
        host = registry.partition("/")[0]
        return (
            f"add {host} to `insecure-registries` of every node's engine, or give the registry a certificate"
        )
    if "denied" in reason or "unauthorized" in reason or "authentication" in reason:
        return f"log in with `docker login {registry.partition('/')[0]}`"
    return "the engine in DOCKER_HOST must reach the registry: `docker push` shows more"
