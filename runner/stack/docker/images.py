"""Obtains the images of a stack: from this machine, a registry, or a stand-in.

A message names the stand-in, and the report lists each image with its digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

import trio

from runner.core.errors import EnvironmentLacks, UsageError
from runner.core.system_facts import ImageFacts
from runner.core.units import Seconds
from runner.stack.docker import bases
from runner.stack.docker.build_hints import pull_hint
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.responses import ImageDetails, Progress
from runner.stack.protocols import Guard, StackContext

IMAGES_VARIABLE: Final = "LOADPROOF_IMAGES"
Source: TypeAlias = Literal["auto", "registry", "local"]
"""``registry``: never use stand-ins. ``local``: use stand-ins for the default base images, without
a registry. ``auto``: use stand-ins when no registry responds."""

_FIRST_RESPONSE_S: Final[Seconds] = 20.0
_FIRST_RESPONSE_WITH_STAND_IN_S: Final[Seconds] = 5.0
_MAX_SILENCE_S: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True)
class Image:
    """An image on this machine.

    Attributes:
        requested: The name in the specification, or the default.
        name: The name it was found by.
        id: The digest by which the engine identifies it.
        digest: Its registry's digest; None for an image that was made here.
        architecture: Of the processors that run it, such as ``amd64``; empty if it does not say so.
    """

    requested: str
    name: str
    id: str
    digest: str | None
    architecture: str = ""

    @property
    def stand_in(self) -> bool:
        """Whether it replaces the requested image."""
        return self.requested != self.name

    @property
    def facts(self) -> ImageFacts:
        """What results say about it."""
        return ImageFacts(self.name, self.id, self.digest, self.requested if self.stand_in else None)


@dataclass(frozen=True, slots=True)
class Supplier:
    """Obtains images for one run.

    Attributes:
        engine: Stores them.
        guard: Guards helper programs.
        say: Shows progress.
        source: Where they may come from.
        scratch: A folder for temporary files.
        not_pulled: Images that could not be pulled and have a stand-in. They are not tried again, so that all
            stacks of a run use the same images, and no line is said twice.
    """

    engine: Engine
    guard: Guard
    say: Callable[[str], None]
    source: Source
    scratch: Path
    not_pulled: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, engine: Engine, context: StackContext) -> Supplier:
        """Return what obtains the images of a stack, from where the environment allows it.

        Raises:
            UsageError: The variable `IMAGES_VARIABLE` has an unknown value.
        """
        source = source_from_environment()
        return cls(engine, context.guard, context.say, source, context.scratch, context.not_pulled)

    async def obtain(self, name: str) -> Image:
        """Return an image, after making sure that it is on this machine.

        Raises:
            EnvironmentLacks: It is not, and cannot be obtained.
        """
        recipe = bases.stand_in_for(name)
        if recipe and (self.source == "local" or (self.source == "auto" and name in self.not_pulled)):
            return await self._stand_in(name, recipe)
        if image := await find_image(self.engine, name):
            return image
        stand_in = recipe and self.source == "auto" and await find_image(self.engine, recipe.name)
        reason = await self._pull(name, _FIRST_RESPONSE_WITH_STAND_IN_S if stand_in else _FIRST_RESPONSE_S)
        if reason is None and (image := await find_image(self.engine, name)):
            return image
        if recipe and self.source == "auto":
            self.say(f"{name} cannot be pulled ({_short(reason)}); using {recipe.name} instead")
            self.not_pulled.add(name)
            return await self._stand_in(name, recipe)
        raise EnvironmentLacks(
            f"image {name} is not on this machine and cannot be pulled: {reason}",
            hint=pull_hint(str(reason))
            + (f"; or set {IMAGES_VARIABLE}=auto to use one made from Debian packages" if recipe else ""),
        )

    async def obtain_as_it_is(self, name: str, place: str) -> Image:
        """Return an image that a Dockerfile names in a FROM line; no stand-in can take its place.

        Args:
            name: The image.
            place: The Dockerfile, for the message.

        Raises:
            EnvironmentLacks: It is not on this machine, and cannot be pulled.
        """
        if image := await find_image(self.engine, name):
            return image
        reason = await self._pull(name, _FIRST_RESPONSE_S)
        if reason is None and (image := await find_image(self.engine, name)):
            return image
        raise EnvironmentLacks(
            f"the base image {name} in {place} is not on this machine and cannot be pulled: {reason}",
            hint=pull_hint(str(reason)) + _stand_in_hint(name),
        )

    async def _stand_in(self, requested: str, recipe: bases.Recipe) -> Image:
        image = await find_image(self.engine, recipe.name, requested=requested)
        if image is None:
            await bases.make(self.engine, recipe, guard=self.guard, say=self.say, scratch=self.scratch)
            image = await find_image(self.engine, recipe.name, requested=requested)
        if image is None:
            raise EnvironmentLacks(f"{recipe.name} was built, but the Docker Engine does not have it")
        return image

    async def _pull(self, name: str, first_response_s: Seconds) -> str | None:
        """Pull an image, as long as the registry keeps sending.

        Args:
            name: What to pull.
            first_response_s: How long the registry may take until it sends anything.

        Returns:
            None, or why it failed.
        """
        self.say(f"pulling {name}")
        errors: list[str] = []
        with trio.CancelScope(deadline=trio.current_time() + first_response_s) as patience:

            def on_item(item: Progress) -> None:
                patience.deadline = trio.current_time() + _MAX_SILENCE_S
                if item.error:
                    errors[:] = [item.error]

            try:
                pull = partial(self.engine.api.pull, name, stream=True)
                await self.engine.stream(await self.engine.call(pull), on_item)
            except EngineRefused as refused:
                return refused.reason
        if patience.cancelled_caught:
            return "the registry does not respond"
        return errors[-1] if errors else None


def _stand_in_hint(name: str) -> str:
    if name not in bases.STAND_INS:
        return ""
    return (
        f"; or write `ARG BASE={name}` and `FROM ${{BASE}}` in the Dockerfile: "
        "then an image made from Debian packages is used where no registry responds"
    )


def _short(reason: str | None) -> str:
    """Return the last part of an engine's nested message: what went wrong, without where."""
    return (reason or "the Docker Engine does not have it").rpartition(": ")[2]


def source_from_environment() -> Source:
    """Return the value of the variable `IMAGES_VARIABLE`, ``auto`` when it is not set.

    Raises:
        UsageError: It has an unknown value.
    """
    value = os.environ.get(IMAGES_VARIABLE) or "auto"
    for known in get_args(Source):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(
        f"{IMAGES_VARIABLE}={value} is not a known value", hint=f"use one of {', '.join(get_args(Source))}"
    )


async def find_image(engine: Engine, name: str, *, requested: str | None = None) -> Image | None:
    """Return an image that is already on this machine, or None."""
    try:
        details = await engine.read(ImageDetails, engine.api.inspect_image, name)
    except EngineRefused as refused:
        if refused.status == 404:
            return None
        raise
    digest = details.repo_digests[0] if details.repo_digests else None
    return Image(requested or name, name, details.id, digest, details.architecture)
