"""Builds an app's image from its folder, once for each content."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio

from runner.core.errors import StackFailed
from runner.stack.docker import labels
from runner.stack.docker.build_hints import build_hint
from runner.stack.docker.context import (
    Dockerfile,
    content_digest,
    find_folder,
    read_dockerfile,
    read_text,
    write_context,
)
from runner.stack.docker.engine import EngineRefused
from runner.stack.docker.images import Image, Supplier, find_image
from runner.stack.docker.responses import Progress, Version
from runner.stack.docker.wheels import fetch_wheels
from runner.stack.output import printable
from runner.stack.paths import printable as printable_path

_LAST_LINES: Final = 20
_MAX_ERROR: Final = 2_000
_NOISE: Final = (" --->", "Removing intermediate container", "Successfully tagged")
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image built from a folder.

    Attributes:
        image: The image.
        folder: The folder.
        content: `content_digest` of the folder.
        base: The base image, if the Dockerfile declares it as ``ARG BASE``.
    """

    image: Image
    folder: Path
    content: str
    base: Image | None


async def build_image(supplier: Supplier, build: str, base_dir: Path, part: str = "app") -> BuiltImage:
    """Return the image of a build folder, built unless the same content was built before.

    Args:
        supplier: Obtains its base.
        build: The folder, as in the specification.
        base_dir: The specification's folder.
        part: Whose image it is, below ``topology``, for messages.

    Raises:
        EnvironmentLacks: There is no such folder, or its base cannot be obtained.
        StackFailed: The build failed; `details` are its last lines.
    """
    folder = find_folder(build, base_dir, part)
    dockerfile = read_dockerfile(folder)
    base = await supplier.obtain(dockerfile.base) if dockerfile.base else None
    wheels = await _wheels(supplier, folder) if base and base.stand_in else None
    salt = await _parents(supplier, folder, dockerfile, base)
    with TemporaryDirectory(prefix="build-", dir=supplier.scratch) as scratch:
        tarball = Path(scratch) / "context.tar"
        write = partial(write_context, folder, tarball, wheels=wheels, salt=salt)
        fingerprint = await trio.to_thread.run_sync(write)
        tag = f"loadproof-app/{_repository(folder)}:{fingerprint}"
        image = await find_image(supplier.engine, tag)
        if image is None:
            supplier.say(f"building {printable_path(folder)}" + (f" on {base.name}" if base else ""))
            await _build(supplier, folder, tarball, tag, base)
            image = await find_image(supplier.engine, tag)
    if image is None:
        raise StackFailed(f"building {printable_path(folder)} produced no image")
    return BuiltImage(image, folder, await trio.to_thread.run_sync(content_digest, folder), base)


async def _wheels(supplier: Supplier, folder: Path) -> Path | None:
    version = await supplier.engine.read(Version, supplier.engine.api.version)
    machine = _MACHINES.get(version.arch, version.arch)
    return await fetch_wheels(
        folder, supplier.scratch, machine=machine, guard=supplier.guard, say=supplier.say
    )


async def _parents(
    supplier: Supplier, folder: Path, dockerfile: Dockerfile, base: Image | None
) -> dict[str, str]:
    """Return the ids of the images it is built from: a new base requires a new build.

    Raises:
        EnvironmentLacks: One of them is not on this machine and cannot be pulled.
    """
    ids = {"BASE": base.id} if base else {}
    for parent in dockerfile.parents:
        literal = "$" not in parent and parent != "scratch"
        place = printable_path(folder / "Dockerfile")
        ids[parent] = (await supplier.obtain_as_it_is(parent, place)).id if literal else ""
    return ids


async def _build(supplier: Supplier, folder: Path, tarball: Path, tag: str, base: Image | None) -> None:
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    errors: list[str] = []

    def on_item(item: Progress) -> None:
        for line in map(printable, item.stream.splitlines()):
            if line and not line.startswith(_NOISE):
                lines.append(line)
                supplier.say(f"  {line}")
        if item.error:
            errors[:] = [item.error[:_MAX_ERROR]]

    engine = supplier.engine
    text = await trio.to_thread.run_sync(read_text, folder)
    with tarball.open("rb") as context:
        build = partial(
            engine.api.build,
            fileobj=context,
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            labels={labels.IMAGE: "app"},
            buildargs={"BASE": base.name} if base else None,
        )
        try:
            await engine.stream(await engine.call(build), on_item)
        except EngineRefused as refused:  # such as a Dockerfile that cannot be parsed
            errors.append(refused.reason)
    if errors:
        hint = build_hint(errors[-1], text, printable_path(folder))
        raise StackFailed(f"building the image failed: {errors[-1]}", hint=hint, details=tuple(lines))


def _repository(folder: Path) -> str:
    """Return a folder's name in the characters that an image's name allows."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in folder.name.lower())
    return name.strip("-") or "app"
