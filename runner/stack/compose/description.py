"""Describes what a compose project really consists of: images with their digests, limits, build folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from runner.core.codes import Role, RoleName
from runner.core.errors import EnvironmentLacks
from runner.core.system_facts import BuildFacts, EngineFacts, ImageFacts, ServiceFacts, SystemDescription
from runner.experiment.compose_topology import ComposeTopology
from runner.stack.compose.config import Config, Service
from runner.stack.compose.containers import Details
from runner.stack.compose.images import Images
from runner.stack.docker.context import content_digest
from runner.stack.docker.engine import Engine
from runner.stack.docker.images import find_image
from runner.stack.docker.responses import Version
from runner.stack.paths import printable


async def describe(
    engine: Engine,
    topology: ComposeTopology,
    config: Config,
    images: Images,
    found: Sequence[Details],
    roles: Mapping[str, RoleName],
    *,
    base_dir: Path,
    published: bool,
) -> SystemDescription:
    """Return everything a reader needs to build the same stack, without values of variables."""
    version = await engine.read(Version, engine.api.version)
    facts = {
        name: await _image(engine, images, name, next(item for item in found if item.service == name))
        for name in dict.fromkeys(item.service for item in found)
    }
    services = _services(config, facts, found, roles)
    app = [item for item in found if roles[item.service] == Role.APP]
    parts = {roles[name]: image for name, image in facts.items() if roles[name] in (Role.APP, Role.PROXY)}
    builds = {
        name: await _build(config.services[name], images, name, base_dir)
        for name in facts
        if config.services[name].build
    }
    app_service = app[0].service if app else topology.app_service
    return SystemDescription(
        kind=topology.kind,
        files=topology.files,
        engine=EngineFacts(version.version, engine.api.api_version),
        replicas=len(app),
        health=topology.health,
        network="host" if app and app[0].host_config.network_mode == "host" else "bridge",
        publish="port" if published else "container",
        images=parts,
        limits=app[0].host_config.limits if app else None,
        env_names=_env_names(config.services[app_service]),
        build=builds.get(app_service),
        services=services or None,
    )


def _services(
    config: Config, images: Mapping[str, ImageFacts], found: Sequence[Details], roles: Mapping[str, RoleName]
) -> dict[str, ServiceFacts]:
    """Return the services beside the app and the proxy, each by its role."""
    members = {name: [item for item in found if item.service == name] for name in images}
    return {
        roles[name]: _service(config.services[name], image, members[name])
        for name, image in images.items()
        if roles[name] not in (Role.APP, Role.PROXY)
    }


def _service(service: Service, image: ImageFacts, found: Sequence[Details]) -> ServiceFacts:
    return ServiceFacts(
        origin="compose",
        image=image,
        port=next((port.target for port in service.published), None),
        limits=found[0].host_config.limits,
        replicas=len(found),
        env_names=_env_names(service),
    )


def _env_names(service: Service) -> tuple[str, ...]:
    return tuple(sorted(service.environment or {}))


async def _image(engine: Engine, images: Images, service: str, item: Details) -> ImageFacts:
    """Return the image that a container really has."""
    obtained = images.by_service.get(service)
    image = await find_image(engine, item.image)
    requested = obtained.requested if obtained and obtained.stand_in else None
    return ImageFacts(item.config.image, item.image, image.digest if image else None, requested)


async def _build(service: Service, images: Images, name: str, base_dir: Path) -> BuildFacts | None:
    """Return what an image was built from; None if that is no folder, such as the address of a repository."""
    assert service.build
    folder = Path(service.build.context)
    try:
        content = await trio.to_thread.run_sync(content_digest, folder)
    except (EnvironmentLacks, ValueError):
        return None
    base = images.bases.get(name)
    return BuildFacts(
        folder=printable(_as_in_specification(folder, base_dir)),
        content=content,
        base=base.facts if base else None,
    )


def _as_in_specification(folder: Path, base_dir: Path) -> Path:
    """Return the path of a folder as a specification in `base_dir` would name it."""
    return Path(os.path.relpath(folder, base_dir))
