"""The topology of services on the nodes of a Docker Swarm."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from runner.core.codes import Role
from runner.experiment import app as checks
from runner.experiment.base_model import Conflict, WhenUsed, conflict_if, invalid_value, refuse
from runner.experiment.base_topology import BaseTopology
from runner.experiment.fields import Text
from runner.experiment.service_addresses import (
    KnownServices,
    docker_conflicts,
    host_port_conflicts,
    service_conflicts,
    target_conflicts,
)
from runner.experiment.service_names import MAX_SERVICES, ServiceName, with_doubled_limit
from runner.experiment.services import Watched
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.swarm_parts import (
    MAX_PLACED,
    ObjectName,
    SwarmApp,
    SwarmConfig,
    SwarmProxy,
    SwarmSecret,
    SwarmService,
)

_REGISTRY: Final = re.compile(
    r"(localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(:[0-9]{1,5})?(/[a-z0-9._-]+)*"
)


def _registry(value: str) -> str:
    if not _REGISTRY.fullmatch(value):
        hint = "such as registry.example.com:5000/loadproof, without https://"
        raise invalid_value(f"should be the address of a registry, not {display(value)}", hint)
    return value


class SwarmTopology(BaseTopology):
    """Replicas on the nodes of a Docker Swarm, optionally behind Nginx."""

    external_url: ClassVar[None] = None
    resolve: ClassVar[Literal["first"]] = "first"
    can_add_replicas: ClassVar[bool] = False
    needs_load_nodes: ClassVar[bool] = True
    watch: ClassVar[Mapping[str, Watched]] = {}
    kind: Literal["swarm"] = Field(description="Services on the nodes of a Docker Swarm.")
    registry: Annotated[Text, AfterValidator(_registry), Field(max_length=200)] | None = Field(
        None,
        description="Registry, with port and prefix, that images are pushed to; nodes pull them by digest. "
        "Without it, every node must have the images already.",
        examples=["registry.example.com:5000/loadproof"],
    )
    path: Literal["overlay", "published", "host"] = Field(
        "overlay",
        description="How load reaches the system, and the proxy the replicas: overlay = the run's own "
        "network; published = ports of the nodes; host = the nodes' own network namespaces, with at most one "
        "replica per node.",
    )
    app: SwarmApp = Field(description="The application under test and how to start it.")
    services: dict[ServiceName, Annotated[SwarmService, WhenUsed()]] = Field(
        default_factory=dict,
        max_length=MAX_SERVICES,
        description="Services that are started before the app, in this order, each ready before the next "
        "starts.",
    )
    proxy: Annotated[SwarmProxy, WhenUsed()] | None = Field(None, description="Nginx, as a task on a node.")
    secrets: dict[ObjectName, Annotated[SwarmSecret, WhenUsed()]] = Field(
        default_factory=dict,
        max_length=MAX_PLACED,
        description="Secrets of the swarm that exist as long as the run.",
        examples=[{"token": {"env": "API_TOKEN"}}],
    )
    configs: dict[ObjectName, Annotated[SwarmConfig, WhenUsed()]] = Field(
        default_factory=dict,
        max_length=MAX_PLACED,
        description="Files that parts are given, as configs of the swarm that exist as long as the run.",
        examples=[{"settings": {"file": "settings.json"}}],
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        app, no_port = self.app, "port is required for kind swarm"
        on_host = self.path == "host"
        refuse(
            checks.image_conflict(app, self.kind),
            conflict_if(not app.port, ("app",), no_port, "such as port: 8080"),
            conflict_if(app.replicas > 1 and not self.proxy, ("app", "replicas"), *checks.NO_PROXY[1:]),
            *_impossible(app, self.services),
            *docker_conflicts(self.services, self.kind),
            *service_conflicts(self.services, {}, app),
            *(host_port_conflicts(self.services, [app.port or 0], "") if on_host else ()),
            *self._placed_conflicts(),
        )
        return self

    def _placed_conflicts(self) -> Iterator[Conflict]:
        """Yield secrets and configs that are unknown, used twice or not used."""
        for at, part in self._parts():
            for index, name in enumerate(part.secrets):
                yield from _unknown((*at, "secrets", index), "secret", name, self.secrets)
                if name in self.secrets and name in part.secrets[:index]:
                    yield Conflict((*at, "secrets", index), f"the secret '{name}' is listed twice")
            for name in part.configs:
                yield from _unknown((*at, "configs", name), "config", name, self.configs)
            files = part.files if isinstance(part, SwarmService) else {}
            yield from target_conflicts((*at, "configs"), part.configs, files)
        secrets = {name for _, part in self._parts() for name in part.secrets}
        configs = {name for _, part in self._parts() for name in part.configs}
        for key, known, used in (("secrets", self.secrets, secrets), ("configs", self.configs, configs)):
            for name in known:
                if name not in used:
                    yield Conflict((key, name), "no part uses it", f"name it in app.{key}, or remove it")

    def _parts(self) -> Iterator[tuple[tuple[str, ...], SwarmApp | SwarmService]]:
        yield ("app",), self.app
        for name, service in self.services.items():
            yield ("services", name), service

    @property
    def replicas(self) -> int:
        """The number of tasks of the app."""
        return self.app.replicas

    @property
    def service_names(self) -> tuple[str, ...] | None:
        """The names of the services that are started."""
        return tuple(self.services)

    @property
    def known_services(self) -> KnownServices:
        """The services whose addresses hooks can insert."""
        return KnownServices(self.services, {}, on_host=self.path == "host")

    @property
    def part_names(self) -> tuple[str, ...] | None:
        """Names of the parts that programs can be run inside."""
        return ("app", *self.services)

    @property
    def input_files(self) -> tuple[str, ...]:
        """The files of its configs."""
        return tuple(config.file for config in self.configs.values())

    @property
    def private_files(self) -> tuple[str, ...]:
        """The files of its secrets, which no archive keeps."""
        return tuple(secret.file for secret in self.secrets.values() if secret.file)

    @property
    def file_keys(self) -> dict[str, str]:
        """Path of each of these files to the key of the specification that names it."""
        keys = {config.file: f"topology.configs.{name}" for name, config in self.configs.items()}
        secrets = {it.file: f"topology.secrets.{name}" for name, it in self.secrets.items() if it.file}
        return keys | secrets

    @property
    def build_folders(self) -> dict[str, str]:
        """Part to the folder from which its image is built."""
        app = {Role.APP.value: self.app.build} if self.app.build else {}
        return app | {name: service.build for name, service in self.services.items() if service.build}

    def with_replicas(self, replicas: int) -> Self:
        """Return a copy with another number of replicas."""
        return self.model_copy(update={"app": self.app.model_copy(update={"replicas": replicas})})

    def with_another_replica(self) -> Self | None:
        """Return a copy with one more replica behind the same proxy; None if there is no proxy."""
        return self.with_replicas(self.replicas + 1) if self.proxy else None

    def with_larger_service(self, name: str, limit: Literal["cpus", "memory"]) -> Self | None:
        """Return a copy in which a service has twice the CPU or memory; None if no limit of it is known."""
        services = with_doubled_limit(self.services, name, limit)
        return self.model_copy(update={"services": services}) if services else None

    def describe_start(self, folder: str) -> tuple[str, ...]:
        """Return what running it starts on the nodes, as lines; `folder` does not matter to them."""
        del folder
        app = self.app
        image, command = app.describe_container()
        services = (service.describe_container(name) for name, service in self.services.items())
        times = f" {app.replicas} times" if app.replicas > 1 else ""
        return (
            *chain.from_iterable(services),
            image,
            *([f"pushes the images to {self.registry}"] if self.registry else []),
            f"starts {command}{times} on nodes of the swarm{_constrained(app.nodes)}",
            *app.describe_variables(),
            *(["starts nginx with a generated configuration on a node of the swarm"] if self.proxy else []),
            *(["publishes ports on those nodes"] if self.path == "published" else []),
            *(["uses the network namespaces of those nodes"] if self.path == "host" else []),
        )


def _constrained(nodes: tuple[str, ...]) -> str:
    return f" with {join_words(nodes, 'and')}" if nodes else ""


def _impossible(app: SwarmApp, services: Mapping[str, SwarmService]) -> Iterator[Conflict | None]:
    """Yield what only parts on this machine can have."""
    no_privileges = "kind swarm cannot deny new privileges to a task"
    yield conflict_if(app.hardened, ("app", "hardened"), no_privileges, "remove it, or use kind docker")
    for name, service in services.items():
        message = "this machine does not reach the service, so its statistics cannot be read"
        yield conflict_if(service.inspect, ("services", name, "inspect"), message, "remove it")


def _unknown(
    at: tuple[str | int, ...], what: str, name: str, known: Mapping[str, object]
) -> Iterator[Conflict]:
    if name not in known:
        names = f"{what}s are {join_words(known, 'and')}" if known else f"add it to topology.{what}s"
        yield Conflict(at, f"there is no {what} '{name}'", did_you_mean(name, known) or names)
