"""The system to build: the ``topology`` of a configuration, one model for each kind.

Other packages use the members that all kinds have, and never check the kind; only the module in
`runner.stack` that builds a kind uses its model. A new kind needs a model here, a place in
`Topology`, and an entry in `runner.stack.kinds`.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from runner.experiment.app import (
    NO_PROXY,
    App,
    Proxy,
    Replicas,
    command_conflict,
    image_conflict,
    replicas_conflict,
)
from runner.experiment.base_model import Conflict, SpecModel, refuse
from runner.experiment.fields import Processors, Text, UrlPath, Whole
from runner.experiment.url import HttpUrl


class BaseTopology(SpecModel):
    """Members that all kinds share; the defaults are those of a service that is not started here."""

    kind: str

    @property
    def external_url(self) -> str | None:
        """The URL of a service that already runs; None for a system that is started here."""
        return None

    @property
    def build_folder(self) -> str | None:
        """The folder in the specification from which the app's image is built."""
        return None

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches without docker-proxy; None if it does not use docker-proxy."""
        return None

    def on_host_network(self) -> Self | None:
        """Return a copy in the host's network namespace; None if that is not possible or no change."""
        return None


class _StartedTopology(BaseTopology):
    """An app that is started here, in one or more replicas."""

    app: App = Field(description="The application under test and how to start it.")
    replicas: Replicas = Field(1)
    proxy: Proxy | None = Field(None)

    @property
    def can_add_replicas(self) -> bool:
        """Whether more replicas can run at the same time."""
        return True

    def with_replicas(self, replicas: int) -> Self:
        """Return a copy with another number of replicas."""
        return self.model_copy(update={"replicas": replicas})


class ProcessTopology(_StartedTopology):
    """One process on this host, or several behind Nginx."""

    kind: Literal["process"] = Field(description="Processes on this host.")
    replicas: Replicas = Field(1, description="Number of processes; more than one requires a proxy.")
    proxy: Proxy | None = Field(None, description="Nginx (from PATH) in front of the replicas.")
    cpus: Processors = Field(
        (), description="Processors that the app and the proxy are bound to; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        app = self.app
        only_docker = [
            Conflict(("app", key), f"{key} requires kind docker; kind process needs a command")
            for key in ("build", "image")
            if getattr(app, key) is not None
        ]
        no_limits = [
            Conflict(("app", key), f"{key} cannot be limited for kind process", "use kind docker")
            for key in ("cpus", "memory")
            if getattr(app, key) is not None
        ]
        shared = replicas_conflict(self.replicas, self.proxy, app)
        refuse(*only_docker, *no_limits, command_conflict(app), shared)
        return self

    @property
    def can_add_replicas(self) -> bool:
        """Whether the app's port can be chosen: processes cannot share a fixed port."""
        return self.app.port is None

    def describe_start(self) -> str:
        """Return a phrase about what running it does on this machine."""
        return f"starts `{shlex.join(self.app.command or ())}`{self.app.describe_variables()}"


class DockerTopology(_StartedTopology):
    """Replicas in containers, optionally behind Nginx."""

    kind: Literal["docker"] = Field(description="Containers on a Docker Engine.")
    replicas: Replicas = Field(1, description="Number of containers; more than one requires a proxy.")
    proxy: Proxy | None = Field(None, description="Nginx in its own container.")
    network: Literal["bridge", "host"] = Field(
        "bridge", description="bridge = a separate network for the run; host = the host's network namespace."
    )
    publish: Literal["port", "container"] = Field(
        "port",
        description="Target of the load: port = published port on 127.0.0.1; container = its address.",
    )
    cpus: Processors = Field(
        (), description="Processors that the app and the proxy are bound to; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(
            image_conflict(self.app),
            None
            if self.app.port
            else Conflict(("app",), "port is required for kind docker", "such as port: 8080"),
            None if self.proxy or self.replicas == 1 else NO_PROXY,
            Conflict(("publish",), "publish: container cannot be combined with network: host")
            if self.network == "host" and self.publish == "container"
            else None,
        )
        return self

    @property
    def build_folder(self) -> str | None:
        """The folder in the specification from which the app's image is built."""
        return self.app.build

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches at the container's address instead of a published port."""
        if self.network == "host" or self.publish != "port":
            return None
        return self.model_copy(update={"publish": "container"})

    def on_host_network(self) -> Self | None:
        """Return a copy in the host's network namespace."""
        return (
            None if self.network == "host" else self.model_copy(update={"network": "host", "publish": "port"})
        )

    def describe_start(self) -> str:
        """Return a phrase about what running it does on this machine."""
        app = self.app
        image = f"builds {app.build}" if app.build else f"uses the image {app.image}"
        command = f"`{shlex.join(app.command)}`" if app.command else "it"
        return f"{image} and starts {command} in a container{app.describe_variables()}"


class Certificates(SpecModel):
    """How the certificate of an https service is verified."""

    ca_file: Annotated[Text, Field(min_length=1)] | None = Field(
        None,
        description="PEM file of trusted CAs, relative to the specification; replaces the system's CAs.",
    )
    insecure: Annotated[bool, Field(strict=True)] = Field(
        False, description="Accept any certificate; the report mentions it."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.insecure and self.ca_file is not None:
            refuse(
                Conflict(
                    ("ca_file",), "ca_file has no effect with insecure: true, which accepts any certificate"
                )
            )
        return self


class ExternalTopology(BaseTopology):
    """A service that already runs; nothing is built or started."""

    kind: Literal["external"] = Field(description="A service that already runs.")
    url: HttpUrl = Field(
        description="Base URL of the service; the request path is appended to it.",
        examples=["http://127.0.0.1:8080"],
    )
    health: UrlPath | None = Field(
        None, description="Path that must return a 2xx status before the load starts."
    )
    pids: tuple[Annotated[Whole, Field(ge=1, le=2**22)], ...] = Field(
        (),
        max_length=64,
        description="Process IDs of the service on this host; without them its CPU usage is not measured.",
    )

    tls: Certificates | None = Field(
        None,
        description="Certificate verification for an https url; by default the system's CAs are trusted.",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        plain = self.tls is not None and self.url.startswith("http:")
        refuse(Conflict(("tls",), "tls requires an https:// url") if plain else None)
        duplicates = [i for i, pid in enumerate(self.pids) if pid in self.pids[:i]]
        refuse(*(Conflict(("pids", i), f"pid {self.pids[i]} is listed twice") for i in duplicates))
        return self

    @property
    def app(self) -> None:
        """None: the service is not started here."""

    @property
    def proxy(self) -> None:
        """None: a proxy is part of the service."""

    @property
    def replicas(self) -> int:
        """1: it is one service, whatever it consists of."""
        return 1

    @property
    def can_add_replicas(self) -> bool:
        """False: the service is not started here."""
        return False

    @property
    def external_url(self) -> str | None:
        """The URL of the service."""
        return self.url

    def with_replicas(self, replicas: int) -> Self:
        """Return the topology itself.

        Raises:
            ValueError: `replicas` is not 1.
        """
        if replicas != 1:
            raise ValueError(f"an external service cannot have {replicas} replicas")
        return self

    def describe_start(self) -> str:
        """Return a phrase about what running it does on this machine."""
        return f"sends load to {self.url}"


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology, Field(discriminator="kind")
]
