"""The system to build: the ``topology`` of a configuration, one model for each kind.

Other packages use the members that all kinds have, and never check the kind; only the module in
`runner.stack` that builds a kind uses its model. A new kind needs a model here, a place in
`Topology`, and an entry in `runner.stack.kinds`.
"""

import shlex
from itertools import chain
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from runner.core.codes import Role
from runner.core.units import Seconds
from runner.experiment import app as checks
from runner.experiment.app import App, Proxy, Replicas
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.compose import (
    ComposeFile,
    ComposeRole,
    ComposeService,
    ComposeTarget,
    role_conflicts,
)
from runner.experiment.fields import FixedUrlPath, Processors, Text, Whole
from runner.experiment.quantities import MINUTE, Time
from runner.experiment.service_addresses import (
    docker_conflicts,
    host_port_conflicts,
    process_conflicts,
    service_conflicts,
)
from runner.experiment.services import Services, WatchedServices
from runner.experiment.url import HttpUrl


class BaseTopology(SpecModel):
    """Members that all kinds share.

    Besides, each kind has `app`, `proxy`, `replicas` and `external_url` (of a service that already runs),
    None where it does not apply, `resolve`, `watch`, and `service_names` (of all services; None where they
    are known only when the stack runs).
    """

    kind: str

    @property
    def input_files(self) -> tuple[str, ...]:
        """The files that describe the system, relative to the specification."""
        return ()

    @property
    def private_files(self) -> tuple[str, ...]:
        """Files with values for them, which no archive keeps; they may be absent."""
        return ()

    @property
    def build_folders(self) -> dict[str, str]:
        """Part to the folder from which its image is built: the app, and services."""
        return {}

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches without docker-proxy; None if it does not use docker-proxy."""
        return None

    def on_host_network(self) -> Self | None:
        """Return a copy in the host's network namespace; None if that is not possible or no change."""
        return None

    def with_another_replica(self) -> Self | None:
        """Return a copy with one more replica behind the same proxy; None if that is not possible."""
        return None

    def with_larger_service(self, name: str, limit: Literal["cpus", "memory"]) -> Self | None:
        """Return a copy in which a service has twice the CPU or memory; None if no limit of it is known."""
        del name, limit
        return None


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
        service = self.services.get(name)
        now = getattr(service, limit) if service else None
        if service is None or now is None:
            return None
        larger = service.model_copy(update={limit: now * 2})
        return self.model_copy(update={"services": {**self.services, name: larger}})


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
        image = f"builds an image from {app.build}" if app.build else f"uses the image {app.image}"
        command = f"`{shlex.join(app.command)}`" if app.command else "the image's own command"
        services = (service.describe_container(name) for name, service in self.services.items())
        return (
            *chain.from_iterable(services),
            image,
            f"starts {command}{_times(self.replicas)} in a container",
            *app.describe_variables(),
            *(["starts nginx with a generated configuration in a container"] if self.proxy else []),
        )


class Certificates(SpecModel):
    """How the certificate of an https service is verified."""

    ca_file: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="PEM file of trusted CAs, relative to the specification; replaces the system's CAs."
    )
    insecure: Annotated[bool, Field(strict=True)] = Field(
        False, description="Accept any certificate; the report mentions it."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        message = "ca_file has no effect with insecure: true, which accepts any certificate"
        refuse(conflict_if(self.insecure and self.ca_file is not None, ("ca_file",), message))
        return self


class ExternalTopology(BaseTopology):
    """A service that already runs; nothing is built or started."""

    app: ClassVar[None] = None
    proxy: ClassVar[None] = None
    replicas: ClassVar[int] = 1
    can_add_replicas: ClassVar[bool] = False
    part_names: ClassVar[tuple[str, ...] | None] = ()
    kind: Literal["external"] = Field(description="A service that already runs.")
    url: HttpUrl = Field(
        description="Base URL of the service; the request path is appended to it.",
        examples=["http://127.0.0.1:8080"],
    )
    health: FixedUrlPath | None = Field(
        None, description="Path that must return a 2xx status before the load starts."
    )
    pids: tuple[Annotated[Whole, Field(ge=1, le=2**22)], ...] = Field(
        (),
        max_length=64,
        description="Process IDs of the service on this host; without them its CPU usage is not measured.",
    )

    resolve: Literal["first", "all"] = Field(
        "first",
        description="Which of the host's addresses load goes to: first = the first one that accepts a "
        "connection; all = all of them in turn, with engine builtin.",
    )
    tls: Annotated[Certificates, WhenUsed()] | None = Field(
        None,
        description="Certificate verification for an https url; by default the system's CAs are trusted.",
    )
    watch: WatchedServices

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        plain = self.tls is not None and self.url.startswith("http:")
        refuse(conflict_if(plain, ("tls",), "tls requires an https:// url"))
        duplicates = [i for i, pid in enumerate(self.pids) if pid in self.pids[:i]]
        refuse(
            *(Conflict(("pids", i), f"pid {self.pids[i]} is listed twice") for i in duplicates),
            *service_conflicts({}, self.watch, None),
        )
        return self

    @property
    def service_names(self) -> tuple[str, ...] | None:
        """The names of the services that are observed."""
        return tuple(self.watch)

    @property
    def external_url(self) -> str | None:
        """The URL of the service."""
        return self.url

    def with_replicas(self, replicas: int) -> Self:
        """Return the topology itself; ValueError if `replicas` is not 1."""
        if replicas != 1:
            raise ValueError(f"an external service cannot have {replicas} replicas")
        return self

    def describe_start(self, folder: str) -> tuple[str, ...]:
        """Return what running it does, as lines; it starts nothing, in whatever folder."""
        del folder
        return (f"sends load to {self.url}",)


class ComposeTopology(BaseTopology):
    """The services of the user's own compose file, which is used as it is."""

    app: ClassVar[None] = None
    proxy: ClassVar[None] = None
    external_url: ClassVar[None] = None
    can_add_replicas: ClassVar[bool] = False
    service_names: ClassVar[None] = None
    part_names: ClassVar[None] = None
    kind: Literal["compose"] = Field(description="The services of a compose file (docker compose).")
    files: tuple[ComposeFile, ...] = Field(
        min_length=1,
        max_length=16,
        description="Compose files, relative to the specification, in the order of docker compose -f.",
        examples=[["docker-compose.yml"]],
    )
    target: ComposeTarget = Field(
        description="Where the load goes.", examples=[{"service": "web", "port": 8080}]
    )
    health: FixedUrlPath | None = Field(
        None,
        description="Path on the target that must return a 2xx status before the load starts; without it, "
        "an accepted connection suffices.",
    )
    ready_within: Annotated[Seconds, Time(max_s=10 * MINUTE)] = Field(
        60.0, description="Time limit from the start of the services until all of them are ready."
    )
    scale: dict[ComposeService, Replicas] = Field(
        default_factory=dict, max_length=64, description="Number of containers of a service."
    )
    roles: dict[ComposeService, ComposeRole] = Field(
        default_factory=dict,
        max_length=64,
        description="Which service is the app or the proxy; by default the target is the app. Other services "
        "are observed by their own names.",
        examples=[{"web": "app", "nginx": "proxy"}],
    )
    profiles: tuple[ComposeService, ...] = Field(
        (), max_length=64, description="Profiles of the compose file to enable."
    )
    env_files: tuple[ComposeFile, ...] = Field(
        (),
        max_length=16,
        description="Files with variables for the compose file, as docker compose --env-file; by default the "
        ".env beside the first compose file.",
    )
    publish: Literal["port", "container"] = Field(
        "port",
        description="Target of the load: port = its published port on 127.0.0.1 if it has one, else its "
        "address; container = its address.",
    )
    watch: WatchedServices

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*role_conflicts(self.roles, self.watch))
        return self

    @property
    def input_files(self) -> tuple[str, ...]:
        """The compose files."""
        return self.files

    @property
    def private_files(self) -> tuple[str, ...]:
        """The files with variables: those given, or the one that Compose reads by default."""
        return self.env_files or (str(PurePosixPath(self.files[0]).with_name(".env")),)

    @property
    def app_service(self) -> str:
        """The first service that is the app."""
        return next(
            (service for service, role in self.roles.items() if role == Role.APP), self.target.service
        )

    @property
    def replicas(self) -> int:
        """The number of containers of the app, as far as the specification says it."""
        return self.scale.get(self.app_service, 1)

    @property
    def resolve(self) -> Literal["first", "all"]:
        """Whether load goes to all addresses of the target in turn."""
        return "all" if self.scale.get(self.target.service, 1) > 1 else "first"

    def with_replicas(self, replicas: int) -> Self:
        """Return a copy with another number of containers of the app; one is the default."""
        scale = {service: number for service, number in self.scale.items() if service != self.app_service}
        return self.model_copy(
            update={"scale": scale if replicas == 1 else {**scale, self.app_service: replicas}}
        )

    def with_another_replica(self) -> Self | None:
        """Return a copy with one more container of the app; None unless another service is in front of it."""
        in_front = self.app_service != self.target.service
        return self.with_replicas(self.replicas + 1) if in_front else None

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches at the container's address instead of a published port."""
        return self.model_copy(update={"publish": "container"}) if self.publish == "port" else None

    def describe_start(self, folder: str) -> tuple[str, ...]:
        """Return what running it starts on this machine, as lines; `folder` is where commands start."""
        del folder
        options = [
            *(f"  with {count} containers of {service}" for service, count in self.scale.items()),
            *(f"  with the profile {profile}" for profile in self.profiles),
            *(f"  with the variables of the file {name}" for name in self.env_files),
        ]
        files = ", ".join(self.files)
        return (
            f"starts the containers of {files}, with the rights and folders that are given there",
            "  with all variables of your environment, where they are inserted",
            *options,
        )


def _times(replicas: int) -> str:
    return f" {replicas} times" if replicas > 1 else ""


class _ByKind:
    """Tells the models of a union apart by their `kind`, and builds each when it is used."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a discriminated union."""
        kinds = {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(source)}
        choices = {
            kind: handler.generate_schema(Annotated[model, WhenUsed()]) for kind, model in kinds.items()
        }
        return core_schema.tagged_union_schema(choices, "kind", from_attributes=True)


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology | ComposeTopology, _ByKind()
]
