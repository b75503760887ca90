"""What Docker on this machine can do, found out without creating anything."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import trio

from runner.core.errors import LoadproofError
from runner.core.units import Seconds
from runner.stack.docker import bases
from runner.stack.docker.engine import Engine, connect
from runner.stack.docker.images import find

_REGISTRY_ANSWERS_WITHIN_S: Final[Seconds] = 8.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for people; the same words as `runner.cli.doctor_checks.Check`."""

    name: str
    status: Literal["ok", "limited", "missing"]
    found: str
    advice: str = ""


async def check_docker() -> list[Finding]:
    """The engine, and where base images would come from; never raises."""
    try:
        engine = await connect()
    except LoadproofError as error:
        return [Finding("Docker Engine", "missing", error.message, error.hint)]
    try:
        version = await engine.call(engine.api.version)
        found = f"{version['Version']} (API {version['ApiVersion']})"
        return [Finding("Docker Engine", "ok", found), await _images(engine)]
    except LoadproofError as error:
        return [Finding("Docker Engine", "missing", error.message, error.hint)]
    finally:
        engine.close()


async def _images(engine: Engine) -> Finding:
    """Whether base images come from a registry or are made here."""
    name = "base images"
    if await _registry_answers(engine, next(iter(bases.STAND_INS))):
        return Finding(name, "ok", f"from the registry ({', '.join(bases.STAND_INS)})")
    ready = [await find(engine, recipe.name) is not None for recipe in bases.STAND_INS.values()]
    if all(ready):
        return Finding(name, "ok", "no registry answers; the stand-ins made from Debian's packages are here")
    if shutil.which("mmdebstrap"):
        return Finding(
            name, "ok", "no registry answers; stand-ins can be made from Debian's packages (mmdebstrap)"
        )
    advice = "connect to a registry, install mmdebstrap (Debian), or load the images with `docker load`"
    return Finding(name, "missing", "no registry answers, and stand-ins cannot be made", advice)


async def _registry_answers(engine: Engine, image: str) -> bool:
    answers = False
    with trio.move_on_after(_REGISTRY_ANSWERS_WITHIN_S):
        try:
            await engine.call(partial(engine.api.inspect_distribution, image))
            answers = True
        except LoadproofError:
            pass
    return answers
