"""Services beside the app: databases, caches and upstreams that a run starts, or that run already.

The module is imported for specifications with services; the others need `runner.experiment.service_names`.
"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from runner.core.units import Seconds
from runner.experiment.app import (
    PORT_FIELD,
    CpuLimit,
    Environment,
    InheritedVariables,
    MemoryLimit,
    Port,
    env_conflicts,
    variable_lines,
)
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, invalid_value, refuse
from runner.experiment.fields import AsWritten, FixedUrlPath, Image, Line, Text, Whole
from runner.experiment.quantities import MINUTE, Time
from runner.experiment.service_names import words_of
from runner.experiment.suggestions import did_you_mean, display, join_words

MAX_FILES: Final = 64
INSPECT_SCHEMES: Final = ("postgresql", "postgres", "mysql", "mariadb", "redis", "rediss")
"""How a URL of a service's own statistics can begin."""


def _file_within(value: str) -> str:
    path = PurePosixPath(value)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in value:
        message = "should be the path of a file or folder inside the specification's folder, not"
        raise invalid_value(f"{message} {display(value)}", "copy it there" if path.parts else "")
    return value


def _absolute_path(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
        raise invalid_value(f"should be an absolute path inside the container, not {display(value)}")
    return value


def _inspect_url(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if not separator or scheme not in INSPECT_SCHEMES:
        raise invalid_value(
            f"should be a URL that begins with {join_words(INSPECT_SCHEMES)} and ://",
            did_you_mean(scheme, INSPECT_SCHEMES) if separator else "",
        )
    return value


FileWithin: TypeAlias = Annotated[Text, AfterValidator(_file_within), Field(max_length=1000)]
InspectUrl: TypeAlias = Annotated[Text, AfterValidator(_inspect_url), Field(min_length=1, max_length=2000)]
PathInside: TypeAlias = Annotated[AsWritten, AfterValidator(_absolute_path), Field(max_length=1000)]


class Ready(SpecModel):
    """How to tell that a service can be used."""

    tcp: Port | None = Field(None, description="It is ready when this port accepts a connection.")
    http: FixedUrlPath | None = Field(
        None, description="It is ready when a GET of this path at its port returns a 2xx status."
    )
    command: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="It is ready when this program exits with status 0; run again and again, inside the "
        "container or, for kind process, on this host.",
        examples=[["pg_isready", "-q"]],
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(_exactly_one(self, ("tcp", "http", "command")))
        return self


class Service(SpecModel):
    """A service that a run starts before the app."""

    command: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments, run without a shell; in a container, instead of the image's "
        "own. {port} stands for the service's port, ${NAME.host} and ${NAME.port} for the address of an "
        "earlier service.",
        examples=[["redis-server", "--port", "{port}"]],
    )
    build: Text | None = Field(
        None,
        min_length=1,
        description="Folder with a Dockerfile, relative to the specification; kinds docker and swarm only.",
    )
    image: Image | None = Field(None, description="Existing image to run; kinds docker and swarm only.")
    port: Port | None = Field(
        None,
        description="Port that it listens on; when absent for kind process, {port} is a free port.",
        examples=[5432],
    )
    env: Environment
    env_from: InheritedVariables
    ready: Annotated[Ready, WhenUsed()] | None = Field(
        None, description="When the next service starts; by default when its port accepts a connection."
    )
    ready_within: Annotated[Seconds, Time(max_s=10 * MINUTE)] = Field(
        60.0, description="Time limit from its start until it is ready."
    )
    cpus: CpuLimit
    memory: MemoryLimit
    files: dict[FileWithin, PathInside] = Field(
        default_factory=dict,
        max_length=MAX_FILES,
        description="Files and folders of the specification's folder to their paths inside the container, "
        "mounted read-only; kinds docker and swarm only.",
        examples=[{"schema.sql": "/docker-entrypoint-initdb.d/schema.sql"}],
    )
    cwd: Text | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Working directory: relative to the specification for kind process, absolute inside the "
        "container for kinds docker and swarm.",
    )
    inspect: InspectUrl | None = Field(
        None,
        description="URL with credentials, with which the service's own statistics are read, such as "
        "postgresql://user:password@${db.host}:${db.port}/name; it is a secret.",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        http = self.ready is not None and self.ready.http is not None and not self.has_port
        refuse(
            *env_conflicts(self.env, self.env_from),
            conflict_if(http, ("ready", "http"), "a port is required for it", "add port"),
        )
        return self

    @property
    def has_port(self) -> bool:
        """Whether it listens on a port that is known."""
        return self.port is not None or any(PORT_FIELD in text for _, text in self.words())

    def words(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the place and the text of whatever can contain ``{port}`` and addresses of services."""
        yield from words_of(self.command, self.env)
        for path, inside in self.files.items():
            yield ("files", path), inside

    def own_words(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the place and the text of what can contain the service's own address as well."""
        for at, word in enumerate(self.ready.command or () if self.ready else ()):
            yield ("ready", "command", at), word
        if self.inspect is not None:
            yield ("inspect",), self.inspect

    def describe_start(self, name: str, folder: str) -> tuple[str, ...]:
        """Return what starting it as a process runs on this machine, as lines."""
        command = shlex.join(self.command or ())
        return (
            f"starts the service {name}: `{command}` in the folder {folder}",
            "  with all variables of your environment",
            *variable_lines(self.env, self.env_from),
            *self._describe_ready("on this host"),
        )

    def describe_container(self, name: str) -> tuple[str, ...]:
        """Return what starting it in a container runs, as lines."""
        image = f"an image built from {self.build}" if self.build else f"the image {self.image}"
        command = f" with `{shlex.join(self.command)}`" if self.command else ""
        return (
            f"starts the service {name} in a container of {image}{command}",
            *variable_lines(self.env, self.env_from),
            *(f"  with {path} of the specification's folder, read-only" for path in self.files),
            *self._describe_ready("in it"),
        )

    def _describe_ready(self, where: str) -> list[str]:
        command = self.ready.command if self.ready else None
        return [f"  and runs `{shlex.join(command)}` {where} until it is ready"] if command else []


class Watched(SpecModel):
    """A service that runs already on this host: it is observed, and neither started nor ended."""

    port: Port | None = Field(
        None, description="Whatever listens on this port, with its masters and workers."
    )
    pid: Annotated[Whole, Field(ge=1, le=2**22)] | None = Field(
        None, description="The process with this ID and all its descendants."
    )
    name: Line | None = Field(
        None, description="All processes with this name, as ps -e shows it.", examples=["redis-server"]
    )
    inspect: InspectUrl | None = Field(
        None,
        description="URL with credentials, with which the service's own statistics are read; it is a secret.",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(_exactly_one(self, ("port", "pid", "name")))
        return self

    @property
    def has_port(self) -> bool:
        """Whether its port is known."""
        return self.port is not None

    def own_words(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the place and the text of what can contain the service's own address."""
        if self.inspect is not None:
            yield ("inspect",), self.inspect


def _exactly_one(model: SpecModel, keys: Sequence[str]) -> Conflict | None:
    given = [key for key in keys if getattr(model, key) is not None]
    if len(given) == 1:
        return None
    at = (given[1],) if given else ()
    return Conflict(at, f"exactly one of {join_words(keys)} is required")
