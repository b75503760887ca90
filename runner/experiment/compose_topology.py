"""The topology of the user's own compose files."""

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.core.codes import Role
from runner.core.units import Seconds
from runner.experiment.app import Replicas
from runner.experiment.base_model import refuse
from runner.experiment.base_topology import BaseTopology
from runner.experiment.compose import ComposeFile, ComposeRole, ComposeService, ComposeTarget, role_conflicts
from runner.experiment.fields import FixedUrlPath
from runner.experiment.quantities import MINUTE, Time
from runner.experiment.service_addresses import KnownServices
from runner.experiment.service_names import WatchedServices


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
    def known_services(self) -> KnownServices:
        """The services whose addresses hooks can insert; those of the compose file are not known yet."""
        return KnownServices(None, self.watch, on_host=False)

    @property
    def why_nodes_cannot_reach(self) -> str:
        """Why other machines cannot send load to it."""
        return f"kind {self.kind} sends load to an address that only this machine reaches"

    @property
    def input_files(self) -> tuple[str, ...]:
        """The compose files."""
        return self.files

    @property
    def private_files(self) -> tuple[str, ...]:
        """The files with variables: those given, or the one that Compose reads by default."""
        return self.env_files or (str(PurePosixPath(self.files[0]).with_name(".env")),)

    @property
    def file_keys(self) -> dict[str, str]:
        """Path of each of these files to the key of the specification that names it."""
        keys = dict.fromkeys(self.files, "topology.files")
        return keys | dict.fromkeys(self.private_files, "topology.env_files")

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
