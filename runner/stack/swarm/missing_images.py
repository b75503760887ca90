"""Which nodes lack which images, all in one message with the commands that bring them there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from runner.cluster.placement import Node, TaskPlan
from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.experiment.suggestions import join_words
from runner.stack.docker.engine import run_concurrently
from runner.stack.docker.images import Image
from runner.stack.swarm.tasks import NO_IMAGE

if TYPE_CHECKING:
    from runner.stack.swarm.placer import SwarmPlacer

_NOTHING: Final = ("/loadproof-runs-nothing",)
_ASKED_WITHIN_S: Final[Seconds] = 20.0
_MAX_NODES: Final = 20
"""More are counted only: the commands for them are the same."""


@dataclass(frozen=True, slots=True)
class NeededImage:
    """An image that nodes run.

    Attributes:
        part: What runs it: ``agents``, or a part of the system.
        image: As the manager's engine has it.
        nodes: That may run it, all of them ready.
        name: How nodes name it: with a digest, or its full id.
    """

    part: str
    image: Image
    nodes: Sequence[Node]
    name: str


def is_for_lack_of_an_image(failed: StackFailed) -> bool:
    """Return whether nodes lack images, or a task could not be started because its node lacks the image."""
    return isinstance(failed, ImagesMissing) or NO_IMAGE in failed.message


class ImagesMissing(StackFailed):
    """Nodes lack images; the details are the commands that bring them there, one for each node."""


async def refuse_missing(placer: SwarmPlacer, needed: Iterable[NeededImage], *, hint: str = "") -> None:
    """Ask all nodes for the images that they need.

    Args:
        placer: Asks them.
        needed: All images that will be needed, so that one message names all of them.
        hint: What else would help, a clause that begins with ``or``.

    Raises:
        ImagesMissing: Nodes lack some.
    """
    by_id: dict[str, list[NeededImage]] = {}
    for one in needed:
        by_id.setdefault(one.image.id, []).append(one)
    if not by_id:
        return
    own = await placer.own_node()
    missing: dict[str, list[NeededImage]] = {}
    nodes: dict[str, Node] = {}

    async def look(image: str, uses: Sequence[NeededImage]) -> None:
        asked = {node.id: node for one in uses for node in one.nodes if node.id != own.id}
        for node in await nodes_without(placer, image, list(asked.values())):
            nodes[node.name] = node
            missing.setdefault(node.name, []).extend(uses)

    await run_concurrently(partial(look, image, uses) for image, uses in by_id.items())
    if missing:
        raise images_missing([(nodes[name], missing[name]) for name in sorted(missing)], hint)


def images_missing(missing: Sequence[tuple[Node, Sequence[NeededImage]]], hint: str = "") -> ImagesMissing:
    """Return the error for nodes and the images that they lack."""
    groups: dict[str, list[str]] = {}
    for node, uses in missing[:_MAX_NODES]:
        groups.setdefault(_images(uses), []).append(node.name)
    sentences = [
        f"{join_words(names, 'and')} {'lacks' if len(names) == 1 else 'lack'} {images}"
        for images, names in groups.items()
    ]
    more = len(missing) - _MAX_NODES
    if more > 0:
        sentences.append(f"{more:,} more nodes lack images")
    advice = "run these commands where `docker` uses the engine of the manager"
    return ImagesMissing(
        "; ".join(sentences),
        hint=f"{advice}, {hint}" if hint else advice,
        details=tuple(_command(node, uses) for node, uses in missing[:_MAX_NODES]),
    )


def _images(uses: Sequence[NeededImage]) -> str:
    """Return the names of images, each with the parts that run it."""
    parts: dict[str, set[str]] = {}
    for one in sorted(uses, key=lambda one: one.image.name):
        parts.setdefault(one.image.name, set()).add(one.part)
    return join_words([f"{name} ({join_words(sorted(of), 'and')})" for name, of in parts.items()], "and")


def _command(node: Node, uses: Sequence[NeededImage]) -> str:
    names = sorted({one.image.name for one in uses})
    return f"docker save {shlex.join(names)} | ssh {shlex.quote(_ssh_name(node))} docker load"


def _ssh_name(node: Node) -> str:
    """Return the name of a node's machine; its address if other nodes have the same name."""
    return node.address if node.name.endswith(f"-{node.id[:6]}") and node.address else node.name


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
