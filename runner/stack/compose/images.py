"""Obtains the images of a project before it starts: pulled, from this machine, or a stand-in.

Compose itself would pull them too, but without bounds, and without stand-ins where no registry responds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from runner.stack.compose.config import Build, Config
from runner.stack.docker.context import read_dockerfile
from runner.stack.docker.engine import run_concurrently
from runner.stack.docker.images import Image, Supplier


@dataclass(slots=True)
class Images:
    """What was obtained.

    Attributes:
        by_service: Service to image, of those that are not built.
        bases: Service to base image, of builds whose Dockerfile declares it as ``ARG BASE``.
    """

    by_service: dict[str, Image] = field(default_factory=dict)
    bases: dict[str, Image] = field(default_factory=dict)

    @property
    def replaced(self) -> Mapping[str, str]:
        """Service to the stand-in that it uses."""
        return {name: image.name for name, image in self.by_service.items() if image.stand_in}

    @property
    def replaced_bases(self) -> Mapping[str, str]:
        """Service to the stand-in that its image is built on."""
        return {name: image.name for name, image in self.bases.items() if image.stand_in}


async def obtain_images(supplier: Supplier, config: Config) -> Images:
    """Return the images, after making sure that they are on this machine.

    Raises:
        EnvironmentLacks: One is not, and cannot be obtained.
    """
    images = Images()
    wanted = {name: service.image for name, service in config.services.items() if not service.build}
    by_image: dict[str, Image] = {}

    async def obtain(name: str) -> None:
        by_image[name] = await supplier.obtain(name)

    await run_concurrently(partial(obtain, name) for name in sorted(set(filter(None, wanted.values()))))
    images.by_service = {service: by_image[name] for service, name in wanted.items() if name}
    for name, service in config.services.items():
        if service.build and (base := _base(service.build)):
            images.bases[name] = await supplier.obtain(base)
    return images


def _base(build: Build) -> str | None:
    """Return the base image that a build would use, if it can be replaced."""
    dockerfile = Path(build.context) / (build.dockerfile or "Dockerfile")
    if "BASE" in build.arguments or build.dockerfile_inline or not dockerfile.is_file():
        return None
    return read_dockerfile(dockerfile.parent, dockerfile.name).base
