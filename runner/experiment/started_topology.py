"""Topologies whose app is started here: processes of this host, and containers."""

import shlex
from itertools import chain
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.core.codes import Role
from runner.experiment import app as checks
from runner.experiment.app import App, Proxy, Replicas
from runner.experiment.base_model import WhenUsed, conflict_if, refuse
from runner.experiment.base_topology import BaseTopology
from runner.experiment.fields import Processors
from runner.experiment.service_addresses import (
    KnownServices,
    docker_conflicts,
    host_port_conflicts,
    process_conflicts,
    service_conflicts,
)
from runner.experiment.service_names import Services, WatchedServices, with_doubled_limit


class _StartedTopology(BaseTopology):
    """An app that is started here, in one or more replicas."""

    external_url: ClassVar[None] = None
    resolve: ClassVar[Literal["first"]] = "first"
    app: App = Field(description="The application under test and how to start it.")
    replicas: Replicas = Field(1)
    proxy: Annotated[Proxy, WhenUsed()] | None = Field(None)
    services: Services
    watch: WatchedServices

    @property
    def service_names(self) -> tuple[str, ...] | None:
        """The names of the services that are started or observed."""
        return (*self.services, *self.watch)

    @property
    def known_services(self) -> KnownServices:
        """The services whose addresses hooks can insert."""
        return KnownServices(self.services, self.watch, on_host=self.is_on_host_network)

    @property
    def is_on_host_network(self) -> bool:
        """Whether its parts are in this host's network namespace."""
        return True

    @property
    def why_nodes_cannot_reach(self) -> str:
        """Why other machines cannot send load to it."""
        return f"kind {self.kind} listens on an address that only this machine reaches"

    @property
    def can_add_replicas(self) -> bool:
        """Whether more replicas can run at the same time."""
        return True

    @property
    def part_names(self) -> tuple[str, ...] | None:
        """Names of the parts that programs can be run inside; None where only the stack knows them."""
        return ("app", *self.services)

    def with_replicas(self, replicas: int) -> Self:
        """Return a copy with another number of replicas."""
        return self.model_copy(update={"replicas": replicas})

    def with_another_replica(self) -> Self | None:
        """Return a copy with one more replica behind the same proxy; None if that is not possible."""
        possible = self.proxy and self.can_add_replicas
        return self.with_replicas(self.replicas + 1) if possible else None

    def with_larger_service(self, name: str, limit: Literal["cpus", "memory"]) -> Self | None:
        """Return a copy in which a service has twice the CPU or memory; None if no limit of it is known."""
        services = with_doubled_limit(self.services, name, limit)
        return self.model_copy(update={"services": services}) if services else None


class ProcessTopology(_StartedTopology):
    """One process on this host, or several behind Nginx."""

    kind: Literal["process"] = Field(description="Processes on this host.")
    replicas: Replicas = Field(1, description="Number of processes; more than one requires a proxy.")
    proxy: Annotated[Proxy, WhenUsed()] | None = Field(
        None, description="Nginx (from PATH) in front of the replicas."
    )
    cpus: Processors = Field(
        (), description="Processors that the app and the proxy are bound to; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        only_docker = ("requires kind docker; kind process needs a command", "")
        no_limit = ("cannot be limited for kind process", "use kind docker")
        wrong = {"build": only_docker, "image": only_docker, "cpus": no_limit, "memory": no_limit}
        refuse(
            *(
                conflict_if(getattr(self.app, key) is not None, ("app", key), f"{key} {why}", hint)
                for key, (why, hint) in wrong.items()
            ),
            conflict_if(self.app.hardened, ("app", "hardened"), "hardened requires kind docker"),
            checks.command_conflict(self.app),
            checks.replicas_conflict(self.replicas, self.proxy, self.app),
            *process_conflicts(self.services),
            *service_conflicts(self.services, self.watch, self.app),
        )
        return self

    @property
    def can_add_replicas(self) -> bool:
        """Whether the app's port can be chosen: processes cannot share a fixed port."""
        return self.app.port is None

    def describe_start(self, folder: str) -> tuple[str, ...]:
        """Return what running it starts on this machine, as lines.

        Args:
            folder: Where commands start.
        """
        command = shlex.join(self.app.command or ())
        services = (
            service.describe_start(name, service.cwd or folder) for name, service in self.services.items()
        )
        return (
            *chain.from_iterable(services),
            f"starts `{command}`{_times(self.replicas)} in the folder {self.app.cwd or folder}",
            "  with all variables of your environment",
            *self.app.describe_variables(),
            *(["starts nginx with a generated configuration"] if self.proxy else []),
        )


class DockerTopology(_StartedTopology):
    """Replicas in containers, optionally behind Nginx."""

    kind: Literal["docker"] = Field(description="Containers on a Docker Engine.")
    replicas: Replicas = Field(1, description="Number of containers; more than one requires a proxy.")
    proxy: Annotated[Proxy, WhenUsed()] | None = Field(None, description="Nginx in its own container.")
    network: Literal["bridge", "host"] = Field(
        "bridge", description="bridge = a separate network for the run; host = the host's network namespace."
    )
    publish: Literal["port", "container"] = Field(
        "port", description="Target of the load: port = published port on 127.0.0.1; container = its address."
    )
    cpus: Processors = Field(
        (), description="Processors that the app and the proxy are bound to; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        hidden = self.network == "host" and self.publish == "container"
        message = "publish: container cannot be combined with network: host"
        no_port = "port is required for kind docker"
        refuse(
            checks.image_conflict(self.app),
            conflict_if(not self.app.port, ("app",), no_port, "such as port: 8080"),
            None if self.proxy or self.replicas == 1 else checks.NO_PROXY,
            conflict_if(hidden, ("publish",), message),
            *docker_conflicts(self.services),
            *service_conflicts(self.services, self.watch, self.app),
            *(host_port_conflicts(self.services, self._app_ports) if self.network == "host" else ()),
        )
        return self

    @property
    def is_on_host_network(self) -> bool:
        """Whether its parts are in this host's network namespace."""
        return self.network == "host"

    @property
    def _app_ports(self) -> range:
        """The ports of the replicas on the host's network."""
        first = self.app.port or 0
        return range(first, first + self.replicas)

    @property
    def build_folders(self) -> dict[str, str]:
        """Part to the folder from which its image is built."""
        app = {Role.APP.value: self.app.build} if self.app.build else {}
        return app | {name: service.build for name, service in self.services.items() if service.build}

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches at the container's address instead of a published port."""
        forwarded = self.network != "host" and self.publish == "port"
        return self.model_copy(update={"publish": "container"}) if forwarded else None

    def on_host_network(self) -> Self | None:
        """Return a copy in the host's network namespace."""
        on_host = self.model_copy(update={"network": "host", "publish": "port"})
        possible = self.network != "host" and not any(host_port_conflicts(self.services, self._app_ports))
        return on_host if possible else None

    def describe_start(self, folder: str) -> tuple[str, ...]:
        """Return what running it starts on this machine, as lines; `folder` does not matter to containers."""
        del folder
        app = self.app
        image, command = app.describe_container()
        services = (service.describe_container(name) for name, service in self.services.items())
        return (
            *chain.from_iterable(services),
            image,
            f"starts {command}{_times(self.replicas)} in a container",
            *app.describe_variables(),
            *(["starts nginx with a generated configuration in a container"] if self.proxy else []),
        )


def _times(replicas: int) -> str:
    return f" {replicas} times" if replicas > 1 else ""
