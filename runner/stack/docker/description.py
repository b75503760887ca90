"""What was really built, for the report: images with their digests, versions, wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from runner.core.facts import Role
from runner.core.units import BYTES_PER_MIB
from runner.experiment.model import DockerTopology
from runner.stack.docker.build import Built
from runner.stack.docker.engine import Engine
from runner.stack.docker.images import Image
from runner.stack.docker.stack import Started
from runner.stack.nginx import STATUS_PATH, describe_proxy


def metrics_urls(topology: DockerTopology, containers: Sequence[Started]) -> dict[str, str]:
    """Where each replica's metrics are asked for directly; empty without ``app.metrics``."""
    path = topology.app.metrics
    if path is None:
        return {}
    return {it.plan.name: it.url(path) for it in containers if it.plan.role is Role.APP}


def status_urls(containers: Sequence[Started]) -> dict[str, str]:
    """Nginx to its stub_status; empty without nginx."""
    return {
        it.plan.name: f"http://{it.host}:{it.plan.status_port}{STATUS_PATH}"
        for it in containers
        if it.plan.status_port is not None
    }


async def describe(
    engine: Engine,
    topology: DockerTopology,
    images: Mapping[Role, Image],
    built: Built | None,
    containers: Sequence[Started],
) -> dict[str, object]:
    """Everything a reader needs to build the same stack; JSON types only."""
    version = await engine.call(engine.api.version)
    app = topology.app
    described: dict[str, object] = {
        "kind": "docker",
        "engine": {"version": version["Version"], "api": engine.api.api_version},
        "replicas": topology.replicas,
        "network": topology.network,
        "publish": topology.publish if topology.network == "bridge" else None,
        "images": {role.value: _image(image) for role, image in images.items()},
        "limits": {"cpus": app.cpus, "memory_mib": app.memory and app.memory / BYTES_PER_MIB},
        "env_names": sorted({*app.env, *app.env_from}),  # the values may be secrets
    }
    if topology.cpus:
        described["cpus"] = list(topology.cpus)
    if built is not None:
        described["build"] = {
            "folder": topology.app.build,
            "content": built.content,
            "base": _image(built.base) if built.base else None,
        }
    for url in status_urls(containers).values():
        assert topology.proxy is not None
        described["proxy"] = describe_proxy(topology.proxy, await _nginx_version(url))
    return described


def _image(image: Image) -> dict[str, Any]:
    found = {"name": image.name, "id": image.id, "digest": image.digest}
    return {**found, "stands_in_for": image.asked} if image.stand_in else found


async def _nginx_version(url: str) -> str | None:
    """Nginx names itself in every answer of its own."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        try:
            server = (await client.get(url)).headers.get("server", "")
        except httpx.HTTPError:
            return None
    return server.partition("/")[2] or None
