"""What to build: the ``topology`` of a configuration."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from runner.core.units import Bytes, Seconds
from runner.experiment.base_model import Conflict, Part, refuse
from runner.experiment.fields import (
    AsWritten,
    EnvName,
    Line,
    Number,
    Processors,
    Text,
    UrlPath,
    Whole,
    Workers,
)
from runner.experiment.quantities import GIB, MIB, MINUTE, Size, Time
from runner.experiment.url import HttpUrl

PORT_FIELD: Final = "{port}"
"""What a command's arguments may hold for the port the app shall listen on."""

Port: TypeAlias = Annotated[Whole, Field(ge=1, le=65535)]


class App(Part):
    """The application under test."""

    command: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments, run without a shell; {port} becomes the port to listen on.",
        examples=[["my-server", "--port", "{port}"]],
    )
    build: Text | None = Field(
        None, min_length=1, description="Folder with a Dockerfile, beside the specification; kind docker."
    )
    image: Line | None = Field(None, description="Image to run instead of building one; kind docker.")
    port: Port | None = Field(
        None, description="Port the app listens on; without it {port} is a free one.", examples=[8080]
    )
    health: UrlPath = Field("/healthz", description="The app is ready when this path answers 2xx.")
    metrics: UrlPath | None = Field(None, description="Path of Prometheus text, scraped from each replica.")
    env: dict[EnvName, AsWritten] = Field(
        default_factory=dict, description="Environment variables; numbers and booleans are taken as written."
    )
    env_from: tuple[EnvName, ...] = Field(
        (),
        max_length=64,
        description="Environment variables passed on from the runner's own; their values are stored nowhere.",
        examples=[["API_TOKEN"]],
    )
    cpus: Annotated[Number, Field(gt=0, le=1024)] | None = Field(
        None, description="CPU limit of each replica in cores; kind docker."
    )
    memory: Annotated[Bytes, Size(least=6 * MIB, most=1024 * GIB)] | None = Field(
        None, description="Memory limit of each replica; kind docker.", examples=["256MiB"]
    )
    ready_within: Annotated[Seconds, Time(most=10 * MINUTE)] = Field(
        30.0, description="How long the health path may take to answer after the start."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        twice = [
            Conflict(("env_from", at), f"{name} is in env already", "write it out or pass it on")
            for at, name in enumerate(self.env_from)
            if name in self.env
        ]
        refuse(*twice)
        return self


class Proxy(Part):
    """Nginx in front of the replicas."""

    kind: Literal["nginx"] = Field("nginx", description="What the proxy is.")
    keepalive: Annotated[Whole, Field(ge=0, le=10_000)] = Field(
        0, description="Idle upstream connections kept; 0 = a new upstream connection per request."
    )
    workers: Workers = Field("auto", description="Worker processes; auto = one a CPU.")
    connections: Annotated[Whole, Field(ge=8, le=1_000_000)] = Field(
        16_384, description="Connections of one worker to clients and replicas together."
    )


Replicas: TypeAlias = Annotated[Whole, Field(ge=1, le=64)]


class ProcessTopology(Part):
    """One process on this host, or several behind nginx."""

    kind: Literal["process"] = Field(description="Processes on this host.")
    app: App = Field(description="The service under test and how it is started.")
    replicas: Replicas = Field(1, description="How many copies run; more than one needs a proxy.")
    proxy: Proxy | None = Field(None, description="Nginx from PATH in front of the replicas.")
    cpus: Processors = Field(
        (), description="Processors that app and proxy stay on; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        app = self.app
        only_docker = [
            Conflict(("app", key), f"{key} is for kind docker; a process is started by its command")
            for key in ("build", "image")
            if getattr(app, key) is not None
        ]
        no_limits = [
            Conflict(("app", key), f"{key} cannot be limited for kind process", "kind docker can")
            for key in ("cpus", "memory")
            if getattr(app, key) is not None
        ]
        shared = _replicas_conflict(self.replicas, self.proxy, app)
        refuse(*only_docker, *no_limits, _command_conflict(app), shared)
        return self


class DockerTopology(Part):
    """Replicas in containers, optionally behind nginx."""

    kind: Literal["docker"] = Field(description="Containers on a Docker Engine.")
    app: App = Field(description="The service under test and how it is started.")
    replicas: Replicas = Field(1, description="How many containers run; more than one needs a proxy.")
    proxy: Proxy | None = Field(None, description="Nginx in a container of its own.")
    network: Literal["bridge", "host"] = Field(
        "bridge", description="A network of the run's own, or the host's network namespace."
    )
    publish: Literal["port", "container"] = Field(
        "port", description="Reach it by a port on 127.0.0.1, or straight at the container's address."
    )
    cpus: Processors = Field(
        (), description="Processors that app and proxy stay on; empty = any.", examples=[[1]]
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(
            _image_conflict(self.app),
            None if self.app.port else Conflict(("app",), "port is required for kind docker", "such as 8080"),
            None if self.proxy or self.replicas == 1 else _NO_PROXY,
            Conflict(("publish",), "nothing is published with network host")
            if self.network == "host" and self.publish == "container"
            else None,
        )
        return self


class Certificates(Part):
    """How the certificate of an https service is judged."""

    ca_file: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="PEM file of the authorities to trust in place of the system's, beside this file."
    )
    insecure: Annotated[bool, Field(strict=True)] = Field(
        False, description="Accept any certificate; the report says so."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.insecure and self.ca_file is not None:
            refuse(Conflict(("ca_file",), "insecure accepts any certificate, so a ca_file is of no use"))
        return self


class ExternalTopology(Part):
    """Something that already runs; nothing is built."""

    kind: Literal["external"] = Field(description="A service that already runs.")
    url: HttpUrl = Field(
        description="Where it answers; the request's path is put behind it.",
        examples=["http://127.0.0.1:8080"],
    )
    health: UrlPath | None = Field(None, description="Path that must answer 2xx before the load begins.")
    pids: tuple[Annotated[Whole, Field(ge=1, le=2**22)], ...] = Field(
        (), max_length=64, description="Its processes on this host; without them its CPU is not measured."
    )

    tls: Certificates | None = Field(
        None, description="For an https url; without it the system's authorities are trusted."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        plain = self.tls is not None and self.url.startswith("http:")
        refuse(Conflict(("tls",), "only an https:// url has certificates") if plain else None)
        doubles = [i for i, pid in enumerate(self.pids) if pid in self.pids[:i]]
        refuse(*(Conflict(("pids", i), f"pid {self.pids[i]} is listed twice") for i in doubles))
        return self


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology, Field(discriminator="kind")
]

_NO_PROXY: Final = Conflict(
    ("replicas",), "more than one replica needs a proxy before them", "add 'proxy: {kind: nginx}'"
)


def _command_conflict(app: App) -> Conflict | None:
    if app.command is None:
        example = 'such as command: [my-server, --port, "{port}"]'
        return Conflict(("app",), "command is required for kind process", example)
    if not app.command[0]:
        return Conflict(("app", "command", 0), "the program's name is empty")
    if app.port is None and not any(PORT_FIELD in argument for argument in app.command):
        hint = "or set 'port' to the one it always listens on"
        return Conflict(("app", "command"), "no argument holds {port}, so the app's port is unknown", hint)
    return None


def _replicas_conflict(replicas: int, proxy: Proxy | None, app: App) -> Conflict | None:
    if replicas == 1:
        return None
    if proxy is None:
        return _NO_PROXY
    if app.port is not None:
        return Conflict(("app", "port"), "replicas cannot share a fixed port", "remove 'port' and use {port}")
    return None


def _image_conflict(app: App) -> Conflict | None:
    if app.build is None and app.image is None:
        return Conflict(("app",), "build or image is required for kind docker")
    if app.build is not None and app.image is not None:
        hint = "a configuration removes a key it does not want by setting it to null"
        return Conflict(("app", "image"), "build and image exclude each other", hint)
    return None
