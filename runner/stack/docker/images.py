"""Gets the images a stack is made of: from this machine, a registry, or a stand-in.

Which of them was used is always said and lands in the report with its digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import trio

from runner.core.errors import EnvironmentLacks, UsageError
from runner.core.units import Seconds
from runner.stack.docker import bases
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.protocols import Guard

SETTING: Final = "LOADPROOF_IMAGES"
Source: TypeAlias = Literal["auto", "registry", "local"]
"""``registry``: images by their own name only. ``local``: stand-ins for the default bases,
without asking a registry. ``auto``: stand-ins where no registry answers."""

_FIRST_ANSWER_S: Final[Seconds] = 20.0
_FIRST_ANSWER_WITH_STAND_IN_S: Final[Seconds] = 5.0
_SILENCE_S: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True)
class Image:
    """An image this machine has.

    Attributes:
        asked: The name in the specification, or the default.
        name: The name it was found by.
        id: The engine's content address of it.
        digest: Its registry's digest, None for one that was made here.
    """

    asked: str
    name: str
    id: str
    digest: str | None

    @property
    def stand_in(self) -> bool:
        """Whether it is another image than the one asked for."""
        return self.asked != self.name


@dataclass(frozen=True, slots=True)
class Supplier:
    """Where images come from in this run.

    Attributes:
        engine: Gets them.
        guard: Told of helper programs.
        say: Shown what happens.
        source: Where to look.
        scratch: A folder for what is only needed on the way.
    """

    engine: Engine
    guard: Guard
    say: Callable[[str], None]
    source: Source
    scratch: Path

    async def obtain(self, name: str) -> Image:
        """Make sure an image is on this machine.

        Raises:
            EnvironmentLacks: It is not, and cannot be got.
        """
        recipe = bases.STAND_INS.get(name)
        if recipe and self.source == "local":
            return await self._stand_in(name, recipe)
        if found := await find(self.engine, name):
            return found
        made = recipe and self.source == "auto" and await find(self.engine, recipe.name)
        reason = await self._pull(name, _FIRST_ANSWER_WITH_STAND_IN_S if made else _FIRST_ANSWER_S)
        if reason is None and (found := await find(self.engine, name)):
            return found
        if recipe and self.source == "auto":
            self.say(f"{name} cannot be pulled ({_short(reason)}); {recipe.name} stands in for it")
            return await self._stand_in(name, recipe)
        raise EnvironmentLacks(
            f"image {name} is not on this machine and cannot be pulled: {reason}",
            hint="pull or load it where there is a network (docker pull, docker load)"
            + (f", or set {SETTING}=auto to use one made from Debian packages" if recipe else ""),
        )

    async def _stand_in(self, asked: str, recipe: bases.Recipe) -> Image:
        found = await find(self.engine, recipe.name, asked=asked)
        if found is None:
            await bases.make(self.engine, recipe, guard=self.guard, say=self.say, scratch=self.scratch)
            found = await find(self.engine, recipe.name, asked=asked)
        if found is None:
            raise EnvironmentLacks(f"{recipe.name} was built, but the engine does not have it")
        return found

    async def _pull(self, name: str, first_answer: Seconds) -> str | None:
        """Pull an image, as long as the registry goes on talking.

        Args:
            name: What to pull.
            first_answer: How long the registry may take to say anything.

        Returns:
            None, or why it failed.
        """
        self.say(f"pulling {name}")
        errors: list[str] = []
        with trio.CancelScope(deadline=trio.current_time() + first_answer) as patience:

            def on_item(item: Mapping[str, Any]) -> None:
                patience.deadline = trio.current_time() + _SILENCE_S
                if "error" in item:
                    errors.append(str(item["error"]))

            try:
                pull = partial(self.engine.api.pull, name, stream=True, decode=True)
                await self.engine.stream(await self.engine.call(pull), on_item)
            except EngineRefused as refused:
                return refused.reason
        if patience.cancelled_caught:
            return "the registry does not answer"
        return errors[-1] if errors else None


def _short(reason: str | None) -> str:
    """The end of an engine's nested message: what went wrong, without where."""
    return (reason or "the engine does not have it").rpartition(": ")[2]


def source_from_environment() -> Source:
    """What the setting `SETTING` says, ``auto`` when it is not there.

    Raises:
        UsageError: It says something else.
    """
    value = os.environ.get(SETTING) or "auto"
    for known in get_args(Source):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"{SETTING}={value} is not known", hint=f"one of {', '.join(get_args(Source))}")


async def find(engine: Engine, name: str, *, asked: str | None = None) -> Image | None:
    """An image this machine already has, or None."""
    try:
        found = await engine.call(engine.api.inspect_image, name)
    except EngineRefused as refused:
        if refused.status == 404:
            return None
        raise
    digests = found.get("RepoDigests") or [None]
    return Image(asked or name, name, found["Id"], digests[0])
