"""The images of a stack: of its app, its services and its proxy."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from runner.core.codes import Role, RoleName, is_service
from runner.core.errors import EnvironmentLacks
from runner.experiment.model import App, DockerTopology
from runner.experiment.services import Service
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.docker.build import BuiltImage, build_image
from runner.stack.docker.engine import Engine, run_concurrently
from runner.stack.docker.images import Image, Supplier
from runner.stack.protocols import StackContext

NGINX_IMAGE: Final = "nginx:1.28-alpine"


@dataclass(slots=True)
class StackImages:
    """The images of the containers, and which of them were built here."""

    by_role: dict[RoleName, Image] = field(default_factory=dict)
    built: dict[RoleName, BuiltImage] = field(default_factory=dict)


async def obtain_images(
    engine: Engine, topology: DockerTopology | SwarmTopology, context: StackContext
) -> StackImages:
    """Return the images, after making sure that they are on this machine.

    Raises:
        EnvironmentLacks: One cannot be obtained, or building one failed.
    """
    supplier = Supplier.of(engine, context)
    images = StackImages()

    async def obtain(role: RoleName, part: App | Service) -> None:
        key = f"services.{role}" if is_service(role) else role
        if part.build is not None:
            images.built[role] = await build_image(supplier, part.build, context.base_dir, key)
            images.by_role[role] = images.built[role].image
        elif part.image is not None:
            images.by_role[role] = await supplier.obtain(part.image)
        else:
            raise EnvironmentLacks(f"topology.{key} names neither `build` nor `image`")

    async def obtain_nginx() -> None:
        if topology.proxy is not None:
            images.by_role[Role.PROXY] = await supplier.obtain(NGINX_IMAGE)

    await run_concurrently([partial(obtain, Role.APP, topology.app), obtain_nginx])
    for role, service in topology.services.items():  # not at once: two may have the same base
        await obtain(role, service)
    return images
