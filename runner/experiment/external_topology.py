"""The topology of a service that already runs."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.base_topology import BaseTopology
from runner.experiment.fields import FixedUrlPath, Text, Whole
from runner.experiment.service_addresses import KnownServices, service_conflicts
from runner.experiment.service_names import WatchedServices
from runner.experiment.url import HttpUrl, host_of, is_loopback, literal


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
    def known_services(self) -> KnownServices:
        """The services whose addresses hooks can insert."""
        return KnownServices({}, self.watch, on_host=True)

    @property
    def why_nodes_cannot_reach(self) -> str:
        """Why other machines cannot send load to it."""
        host = host_of(self.url)
        own = host == "localhost" or (literal(host) is not None and is_loopback(host))
        return f"on each machine, {host} is that machine itself" if own else ""

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
