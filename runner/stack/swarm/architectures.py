"""Refuses images that the processors of nodes cannot run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.experiment.suggestions import join_words
from runner.stack.swarm.missing_images import NeededImage

_ALSO_RUNS: Final[Mapping[str, frozenset[str]]] = {
    "amd64": frozenset({"386"}),
    "arm64": frozenset({"arm"}),
}


def refuse_other_architectures(needed: Iterable[NeededImage]) -> None:
    """Raise EnvironmentLacks if an image is for other processors than those of a node that may run it.

    Docker says nothing about it before the program fails with ``exec format error``.
    """
    for one in needed:
        wanted = one.image.architecture
        others = [node for node in one.nodes if not _runs(node.architecture, wanted)]
        if others:
            nodes = join_words([f"{node.name} ({node.architecture})" for node in others], "and")
            platform = f"linux/{others[0].architecture}"
            raise EnvironmentLacks(
                f"the image {one.image.name} ({one.part}) is for {wanted} and cannot run on {nodes}",
                hint=f"get it for them, as with `docker pull --platform {platform} {one.image.name}` or "
                f"`docker build --platform {platform}`, or keep it away from them with the part's `nodes`",
            )


def _runs(processor: str, image: str) -> bool:
    return not processor or not image or processor == image or image in _ALSO_RUNS.get(processor, ())
