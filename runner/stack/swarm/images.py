"""Pins the images of parts, so that every node runs the same content.

A tag is looked up by each node on its own. The full id of an image proves its content, and so does a digest
of a registry, from which the nodes get it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.responses import ImageDetails, Progress

_REPOSITORY: Final = "loadproof"
_SILENCE_S: Final[Seconds] = 60.0
"""How long a registry may take until it sends something."""
_TAG_DIGITS: Final = 12


async def pin_image(engine: Engine, image_id: str, registry: str | None, say: Callable[[str], None]) -> str:
    """Return how nodes name an image of the manager's engine, after it was pushed to a registry, if any.

    Args:
        engine: Has the image.
        image_id: Its full id.
        registry: Host, port and prefix; None where the nodes have the image already.
        say: Shows progress.

    Returns:
        The id, or the name in the registry with its digest.

    Raises:
        EnvironmentLacks: The registry does not take it.
    """
    if registry is None:
        return image_id
    repository = f"{registry}/{_REPOSITORY}"
    tag = image_id.removeprefix("sha256:")[:_TAG_DIGITS]
    say(f"pushing {repository}:{tag}")
    await engine.call(engine.api.tag, image_id, repository, tag)
    if reason := await _push(engine, repository, tag):
        raise EnvironmentLacks(
            f"the image cannot be pushed to {registry}: {reason}",
            hint=f"`docker push {repository}:{tag}` on the manager shows whether `docker login {registry}` "
            "is needed, or `insecure-registries` for a registry without TLS",
        )
    details = await engine.read(ImageDetails, engine.api.inspect_image, image_id)
    pinned = next((one for one in details.repo_digests or () if one.startswith(f"{repository}@")), None)
    if pinned is None:
        raise EnvironmentLacks(f"{registry} took the image, but the Docker Engine knows no digest of it")
    return pinned


async def _push(engine: Engine, repository: str, tag: str) -> str:
    """Push an image as long as the registry keeps sending; returns why that failed, empty for success."""
    errors: list[str] = []
    with trio.CancelScope(deadline=trio.current_time() + _SILENCE_S) as patience:

        def on_item(item: Progress) -> None:
            patience.deadline = trio.current_time() + _SILENCE_S
            if item.error:
                errors[:] = [item.error]

        try:
            push = partial(engine.api.push, repository, tag, stream=True)
            await engine.stream(await engine.call(push), on_item)
        except EngineRefused as refused:
            return refused.reason
    if patience.cancelled_caught:
        return "the registry does not respond"
    return errors[-1] if errors else ""
