"""The system that was built: images, limits, services and programs, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class ImageFacts(Struct, frozen=True, omit_defaults=True):
    """A container image that was used.

    Attributes:
        id: The engine's own digest of its configuration.
        digest: The registry's digest of its manifest; None for an image that was built here.
        stands_in_for: The image that the specification names, where this one replaces it.
    """

    name: str
    id: str
    digest: str | None
    stands_in_for: str | None = None


class BuildFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A folder that an image was built from.

    Attributes:
        content: SHA-256 of everything in it; None where it is not known.
    """

    folder: str | None
    content: str | None = None
    base: ImageFacts | None


class EngineFacts(Struct, frozen=True):
    """The Docker Engine: its version and that of its API."""

    version: str
    api: str


class LimitFacts(Struct, frozen=True):
    """What a container may use, None for no limit: CPUs, and memory in MiB."""

    cpus: float | None
    memory_mib: float | None


class ProxyFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The proxy in front of the app.

    Attributes:
        keepalive: Idle connections to the app that each worker keeps, 0 for none.
        connections: Of one worker, at most.
        backlog: Length of its accept queue.
    """

    kind: str
    version: str | None
    keepalive: int
    workers: int | Literal["auto"]
    connections: int | None = None
    backlog: int


class ServiceFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A service beside the app: a database, a cache, an upstream.

    Attributes:
        origin: ``started`` by this run (topology.services), part of the user's ``compose`` file, or
            ``watched``: it ran already.
        command: Of a process, what it was started with.
        image: Of a container.
        port: The port that it listens on, in its own network namespace.
        limits: Of a container.
        replicas: How many containers or processes it has.
        pids: Its processes when the run began, of a watched one.
        env_names: Names of the environment variables that it is given; values may be secrets.
        build: What its image was built from.
        files: Path in the specification to the SHA-256 of what is mounted into it.
    """

    origin: Literal["started", "compose", "watched"]
    command: tuple[str, ...] | None = None
    image: ImageFacts | None = None
    port: int | None = None
    limits: LimitFacts | None = None
    replicas: int = 1
    pids: tuple[int, ...] | None = None
    env_names: tuple[str, ...] = ()
    build: BuildFacts | None = None
    files: Mapping[str, str] | None = None


class ProgramIdentity(Struct, frozen=True, omit_defaults=True):
    """What a process ran when its stack was up; digests are SHA-256, empty where nothing could be read.

    Attributes:
        name: Of the process.
        program: Digest of its executable file.
        code: Digest of the scripts, modules and archives that its arguments name.
        packages: Digest of the lists of what is installed in its environment.
        commit: Of the repository that it was started in.
        changes: Digest of how the files there differ from the commit; empty if they do not.
    """

    name: str = ""
    program: str = ""
    code: str = ""
    packages: str = ""
    commit: str = ""
    changes: str = ""


class NodeFacts(Struct, frozen=True, omit_defaults=True):
    """A node of the cluster that runs the system, or sends load to it.

    Attributes:
        cores: Processors that it offers.
        memory_mib: Of the machine.
        architecture: As the engine names it, such as ``x86_64``.
        engine: Version of its Docker Engine.
        kernel: Release of its kernel; empty where it is not known.
        same_machine: Names of the other nodes that have the same running kernel: they share its processors.
        runs: Names of the subjects on it: ``app``, ``app-2``, ``nginx``, services.
    """

    name: str
    cores: float
    memory_mib: float
    architecture: str
    engine: str
    kernel: str = ""
    runs: tuple[str, ...] = ()
    same_machine: tuple[str, ...] = ()


class SystemDescription(Struct, frozen=True, omit_defaults=True):
    """The system that was built, without secrets; fields that do not apply to its kind are absent.

    Other packages read its fields and never depend on the kind of topology.

    Attributes:
        pids: Its processes, where the specification names them.
        address: The address that its name was resolved to; with several in `addresses`, the first.
        addresses: All addresses that load is spread over, where there are several.
        unused_addresses: Other addresses of its name, which receive no load.
        certificate: ``checked`` or ``not checked``, of a service with TLS.
        command: Arguments that one replica was started with.
        replicas: How many processes or containers of the app there are.
        health: Path of the readiness check.
        network: ``bridge`` or ``host``, of containers.
        publish: ``port`` or ``container``, how containers are reached; null on the host network.
        env_names: Names of the environment variables that the app is given; values may be secrets.
        cpus: Processors that the stack is bound to.
        services: Name to service, in the order in which they were started.
        files: The compose files as in the specification.
        programs: Name of a subject that is a process to what it ran.
        nodes: Name of each node of the cluster to what it is.
        path: How load reaches the system, and the proxy the replicas, in a cluster.
        placement: Name of each subject to the name of the node that runs it.
        registry: Where the nodes of a cluster got the images from.
    """

    kind: str = ""
    url: str | None = None
    pids: tuple[int, ...] | None = None
    address: str | None = None
    addresses: tuple[str, ...] | None = None
    unused_addresses: tuple[str, ...] | None = None
    certificate: Literal["checked", "not checked"] | None = None
    command: tuple[str, ...] | None = None
    engine: EngineFacts | None = None
    replicas: int | None = None
    urls: tuple[str, ...] | None = None
    health: str | None = None
    network: Literal["bridge", "host"] | None = None
    publish: Literal["port", "container"] | UnsetType | None = UNSET
    images: Mapping[str, ImageFacts] | None = None
    limits: LimitFacts | None = None
    env_names: tuple[str, ...] | None = None
    cpus: tuple[int, ...] | None = None
    build: BuildFacts | None = None
    proxy: ProxyFacts | None = None
    services: Mapping[str, ServiceFacts] | None = None
    files: tuple[str, ...] | None = None
    programs: Mapping[str, ProgramIdentity] | None = None
    nodes: Mapping[str, NodeFacts] | None = None
    path: Literal["overlay", "published", "host"] | None = None
    placement: Mapping[str, str] | None = None
    registry: str | None = None
