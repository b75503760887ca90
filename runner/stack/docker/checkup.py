"""Checks what Docker on this machine can do, without creating anything."""

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
from runner.stack.docker.images import find_image
from runner.stack.docker.responses import Version

_REGISTRY_RESPONDS_WITHIN_S: Final[Seconds] = 8.0


@dataclass(frozen=True, slots=True)
class DockerCheck:
    """The result of one check, with the fields of `runner.cli.doctor_checks.Check`."""

    name: str
    status: Literal["ok", "limited", "missing"]
    found: str
    advice: str = ""


async def check_docker() -> list[DockerCheck]:
    """Check the engine and the source of base images; never raise."""
    try:
        engine = await connect()
        try:
            version = await engine.read(Version, engine.api.version)
            text = f"{version.version} (API {version.api_version})"
            return [DockerCheck("Docker Engine", "ok", text), await _images(engine)]
        finally:
            engine.close()
    except LoadproofError as error:
        return [DockerCheck("Docker Engine", "missing", error.message, error.hint)]


async def _images(engine: Engine) -> DockerCheck:
    """Check whether base images come from a registry or can be made here."""
    name = "base images"
    if await _registry_responds(engine, next(iter(bases.STAND_INS))):
        return DockerCheck(name, "ok", f"from the registry ({', '.join(bases.STAND_INS)})")
    present = [await find_image(engine, recipe.name) is not None for recipe in bases.STAND_INS.values()]
    if all(present):
        text = "no registry responds; stand-ins made from Debian packages are on this machine"
        return DockerCheck(name, "ok", text)
    if shutil.which("mmdebstrap"):
        text = "no registry responds; stand-ins can be made from Debian packages (mmdebstrap)"
        return DockerCheck(name, "ok", text)
    advice = "connect to a registry, install mmdebstrap (Debian), or load the images with `docker load`"
    return DockerCheck(name, "missing", "no registry responds, and stand-ins cannot be made", advice)


async def _registry_responds(engine: Engine, image: str) -> bool:
    responds = False
    with trio.move_on_after(_REGISTRY_RESPONDS_WITHIN_S):
        try:
            await engine.call(partial(engine.api.inspect_distribution, image))
            responds = True
        except LoadproofError:
            pass
    return responds
