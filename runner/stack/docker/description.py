"""Describes what was really built: images with their digests, versions, networking."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Final

import httpx
import trio

from runner.bounded_http import bounded_transport
from runner.core.codes import Role, RoleName
from runner.core.system_facts import BuildFacts, EngineFacts, LimitFacts, ServiceFacts, SystemDescription
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.experiment.model import DockerTopology
from runner.stack.docker.build import BuiltImage
from runner.stack.docker.engine import Engine
from runner.stack.docker.images import Image
from runner.stack.docker.responses import Version
from runner.stack.docker.stack import Container
from runner.stack.nginx import STATUS_PATH, describe_proxy

_PAGE_WITHIN_S: Final[Seconds] = 5.0
_MAX_VERSION: Final = 50


def metrics_urls(topology: DockerTopology, containers: Sequence[Container]) -> dict[str, str]:
    """Return the URL of each replica's metrics, bypassing any proxy; empty without ``app.metrics``."""
    path = topology.app.metrics
    if path is None:
        return {}
    return {
        container.plan.name: container.url(path)
        for container in containers
        if container.plan.role == Role.APP
    }


def status_urls(containers: Sequence[Container]) -> dict[str, str]:
    """Return the URL of nginx's stub_status; empty without nginx."""
    return {
        container.plan.name: f"http://{container.host}:{container.plan.status_port}{STATUS_PATH}"
        for container in containers
        if container.plan.status_port is not None
    }


async def describe(
    engine: Engine,
    topology: DockerTopology,
    images: Mapping[RoleName, Image],
    built: BuiltImage | None,
    containers: Sequence[Container],
    services: Mapping[str, ServiceFacts],
) -> SystemDescription:
    """Return everything a reader needs to build the same stack."""
    version = await engine.read(Version, engine.api.version)
    app = topology.app
    proxy = None
    for url in status_urls(containers).values():
        assert topology.proxy is not None
        proxy = describe_proxy(topology.proxy, await _nginx_version(url))
    return SystemDescription(
        kind=topology.kind,
        engine=EngineFacts(version.version, engine.api.api_version),
        replicas=topology.replicas,
        network=topology.network,
        publish=topology.publish if topology.network == "bridge" else None,
        images={str(role): image.facts for role, image in images.items()},
        limits=LimitFacts(app.cpus, app.memory and app.memory / BYTES_PER_MIB),
        env_names=tuple(sorted({*app.env, *app.env_from})),  # the values may be secrets
        cpus=topology.cpus or None,
        build=_build(app.build, built) if built else None,
        proxy=proxy,
        services=services or None,
    )


def _build(folder: str | None, built: BuiltImage) -> BuildFacts:
    base = built.base.facts if built.base else None
    return BuildFacts(folder=folder, content=built.content, base=base)


async def _nginx_version(url: str) -> str | None:
    """Return the version in the Server header of nginx's own responses."""
    transport = bounded_transport(ssl.create_default_context())
    async with httpx.AsyncClient(trust_env=False, transport=transport) as client:
        try:
            with trio.fail_after(_PAGE_WITHIN_S):
                server = (await client.get(url)).headers.get("server", "")
        except (httpx.HTTPError, trio.TooSlowError):
            return None
    return server.partition("/")[2][:_MAX_VERSION] or None
