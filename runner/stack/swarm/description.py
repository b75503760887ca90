"""Describes what was really built on the nodes of a swarm: images, placement, nodes, services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from runner.cluster.client import Cluster
from runner.cluster.facts import on_same_machine
from runner.cluster.placement import Node, PlacedFile
from runner.core.codes import RoleName, is_service
from runner.core.system_facts import (
    BuildFacts,
    EngineFacts,
    ImageFacts,
    LimitFacts,
    NodeFacts,
    ServiceFacts,
    SystemDescription,
)
from runner.core.units import BYTES_PER_MIB
from runner.experiment.swarm_parts import SwarmApp, SwarmService
from runner.stack.docker.responses import Version
from runner.stack.docker.stack_images import StackImages
from runner.stack.nginx import describe_proxy
from runner.stack.swarm.bring_up import Starter
from runner.stack.swarm.parts import PartTask


async def describe(starter: Starter) -> SystemDescription:
    """Return everything a reader needs to build the same stack."""
    engine, topology = starter.placer.engine, starter.topology
    version = await engine.read(Version, engine.api.version)
    tasks = starter.monitor.tasks
    images, pinned = starter.images.stack, starter.images.pinned
    own = {str(role): _image(images, role, pinned[role]) for role in pinned if not is_service(role)}
    services = {name: _service(starter, images, name) for name in topology.services}
    return SystemDescription(
        kind=topology.kind,
        engine=EngineFacts(version.version, engine.api.api_version),
        replicas=topology.replicas,
        images=own,
        limits=_limits(topology.app),
        env_names=tuple(sorted({*topology.app.env, *topology.app.env_from})),  # the values may be secrets
        build=_build(images, "app", topology.app.build),
        proxy=describe_proxy(topology.proxy, None) if topology.proxy else None,
        services=services or None,
        nodes=node_facts(starter.nodes, tasks, starter.cluster),
        path=topology.path,
        placement={one.name: one.node.name for one in tasks},
        registry=topology.registry,
    )


def node_facts(nodes: Iterable[Node], tasks: Sequence[PartTask], cluster: Cluster) -> dict[str, NodeFacts]:
    """Return name to facts of each node that is ready."""
    return {
        node.name: NodeFacts(
            name=node.name,
            cores=node.cores,
            memory_mib=round(node.memory_bytes / BYTES_PER_MIB, 1),
            architecture=node.architecture,
            engine=node.engine_version,
            kernel=cluster.agents[node.name].kernel if node.name in cluster.agents else "",
            runs=tuple(one.name for one in tasks if one.node.id == node.id),
            same_machine=on_same_machine(cluster.agents, node.name),
        )
        for node in nodes
        if node.state == "ready"
    }


def _service(starter: Starter, images: StackImages, name: str) -> ServiceFacts:
    service = starter.topology.services[name]
    return ServiceFacts(
        origin="started",
        command=service.command,
        image=_image(images, name, starter.images.pinned[name]),
        port=service.port,
        limits=_limits(service),
        env_names=tuple(sorted({*service.env, *service.env_from})),
        build=_build(images, name, service.build),
        files=_digests(starter.planner.files.get(name, ())) or None,
    )


def _digests(files: Iterable[PlacedFile]) -> Mapping[str, str]:
    """Return path inside to digest of what a part is given, without secrets."""
    return {file.path: sha256(file.content).hexdigest() for file in files if not file.secret}


def _image(images: StackImages, role: RoleName, pinned: str) -> ImageFacts:
    facts = images.by_role[role].facts
    digest = pinned.partition("@")[2]
    return replace(facts, digest=digest) if digest else facts


def _limits(part: SwarmApp | SwarmService) -> LimitFacts:
    return LimitFacts(part.cpus, part.memory and part.memory / BYTES_PER_MIB)


def _build(images: StackImages, role: RoleName, folder: str | None) -> BuildFacts | None:
    built = images.built.get(role)
    if built is None:
        return None
    return BuildFacts(folder=folder, content=built.content, base=built.base.facts if built.base else None)
