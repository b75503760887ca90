"""The application under test and its proxy: models and checks that several topologies share."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from runner.core.units import Bytes, Seconds
from runner.experiment.base_model import Conflict, SpecModel, conflict_if, refuse
from runner.experiment.fields import AsWritten, EnvName, FixedUrlPath, Image, Number, Text, Whole, Workers
from runner.experiment.quantities import GIB, MIB, MINUTE, Size, Time

PORT_FIELD: Final = "{port}"
"""Placeholder in a command's arguments for the port that the app should listen on."""

Port: TypeAlias = Annotated[Whole, Field(ge=1, le=65535)]
Replicas: TypeAlias = Annotated[Whole, Field(ge=1, le=64)]
Environment: TypeAlias = Annotated[
    dict[EnvName, AsWritten],
    Field(
        default_factory=dict,
        description="Environment variables; numbers and booleans keep their spelling in the file. {port} "
        "stands for the port to listen on, ${NAME.host} and ${NAME.port} for the address of a service.",
    ),
]
InheritedVariables: TypeAlias = Annotated[
    tuple[EnvName, ...],
    Field(
        default=(),
        max_length=64,
        description="Environment variables inherited from the runner; their values are not stored.",
        examples=[["API_TOKEN"]],
    ),
]
CpuLimit: TypeAlias = Annotated[
    Annotated[Number, Field(gt=0, le=1024)] | None,
    Field(default=None, description="CPU limit of each replica in cores; kinds docker and swarm only."),
]
MemoryLimit: TypeAlias = Annotated[
    Annotated[Bytes, Size(min_bytes=6 * MIB, max_bytes=1024 * GIB)] | None,
    Field(
        default=None,
        description="Memory limit of each replica; kinds docker and swarm only.",
        examples=["256MiB"],
    ),
]


class App(SpecModel):
    """The application under test."""

    command: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments, run without a shell; {port} stands for the port to listen on.",
        examples=[["my-server", "--port", "{port}"]],
    )
    build: Text | None = Field(
        None,
        min_length=1,
        description="Folder with a Dockerfile, relative to the specification; kinds docker and swarm only.",
    )
    image: Image | None = Field(
        None, description="Existing image to run instead of building one; kinds docker and swarm only."
    )
    port: Port | None = Field(
        None, description="Port that the app listens on; when absent, {port} is a free port.", examples=[8080]
    )
    health: FixedUrlPath = Field(
        "/healthz", description="The app is ready when this path returns a 2xx status."
    )
    metrics: FixedUrlPath | None = Field(
        None, description="Path of metrics in Prometheus text format, scraped from each replica."
    )
    cwd: Text | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Working directory: relative to the specification for kind process, absolute inside the "
        "container for kinds docker and swarm.",
        examples=["../shop"],
    )
    env: Environment
    env_from: InheritedVariables
    cpus: CpuLimit
    memory: MemoryLimit
    hardened: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="Run the container without capabilities, without new privileges, and with a limit of "
        "4096 processes; by default it has the rights that docker run gives. Kind docker only.",
    )
    ready_within: Annotated[Seconds, Time(max_s=10 * MINUTE)] = Field(
        30.0, description="Time limit from start until the health path returns 2xx."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*env_conflicts(self.env, self.env_from))
        return self

    def describe_container(self) -> tuple[str, str]:
        """Return where its image comes from, as a line, and what a container of it starts."""
        image = f"builds an image from {self.build}" if self.build else f"uses the image {self.image}"
        return image, f"`{shlex.join(self.command)}`" if self.command else "the image's own command"

    def describe_variables(self) -> tuple[str, ...]:
        """Return a line for each environment variable of the app, without values from the runner's own."""
        return variable_lines(self.env, self.env_from)


class Proxy(SpecModel):
    """Nginx in front of the replicas."""

    kind: Literal["nginx"] = Field("nginx", description="Proxy software.")
    keepalive: Annotated[Whole, Field(ge=0, le=10_000)] = Field(
        0,
        description="Maximum number of idle upstream connections; 0 = a new upstream connection per request.",
    )
    workers: Workers = Field("auto", description="Worker processes; auto = one per CPU.")
    connections: Annotated[Whole, Field(ge=8, le=1_000_000)] = Field(
        16_384, description="Maximum number of connections per worker, to clients and replicas together."
    )


_ADD_PROXY: Final = "add 'proxy: {kind: nginx}'"
NO_PROXY: Final = Conflict(("replicas",), "more than one replica requires a proxy", _ADD_PROXY)


def env_conflicts(env: Mapping[str, str], env_from: Sequence[str]) -> Iterator[Conflict]:
    """Yield a conflict for each variable that is both given and inherited."""
    for at, name in enumerate(env_from):
        if name in env:
            hint = "keep it in either env or env_from"
            yield Conflict(("env_from", at), f"{name} is already in env", hint)


def variable_lines(env: Mapping[str, str], env_from: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each environment variable, without values from the runner's own."""
    given = (f"  with {name}={shlex.quote(value)}" for name, value in env.items())
    inherited = (f"  with {name} from your environment, not shown here" for name in env_from)
    return (*given, *inherited)


def command_conflict(app: App) -> Conflict | None:
    """Return what prevents starting the app as a process."""
    if app.command is None:
        example = 'such as command: [my-server, --port, "{port}"]'
        return Conflict(("app",), "command is required for kind process", example)
    if not app.command[0]:
        return Conflict(("app", "command", 0), "the program name is empty")
    unknown = app.port is None and not any(PORT_FIELD in text for text in (*app.command, *app.env.values()))
    hint = "or set 'port' if the app always listens on the same port"
    message = "no argument or variable contains {port}, so the app's port is unknown"
    return conflict_if(unknown, ("app", "command"), message, hint)


def replicas_conflict(replicas: int, proxy: Proxy | None, app: App) -> Conflict | None:
    """Return what prevents running several processes of the app."""
    if replicas > 1 and proxy is None:
        return NO_PROXY
    hint = "remove 'port' and use {port} in the command"
    shared = replicas > 1 and app.port is not None
    return conflict_if(shared, ("app", "port"), "replicas cannot share a fixed port", hint)


def image_conflict(app: App, kind: str = "docker") -> Conflict | None:
    """Return what prevents starting the app in a container."""
    if app.build is None and app.image is None:
        return Conflict(("app",), f"build or image is required for kind {kind}")
    if app.cwd is not None and not PurePosixPath(app.cwd).is_absolute():
        return Conflict(("app", "cwd"), "should be an absolute path inside the container")
    both = app.build is not None and app.image is not None
    hint = "a configuration removes an inherited key by setting it to null"
    return conflict_if(both, ("app", "image"), "build and image cannot be combined", hint)
