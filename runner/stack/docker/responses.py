"""What is used of the Docker Engine's responses: every value has a type and a range, and is checked once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct, field

Text: TypeAlias = Annotated[str, Meta(max_length=1_000)]
Id: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$")]
"""Part of a path in later requests."""
Labels: TypeAlias = Mapping[str, str]
Pid: TypeAlias = Annotated[int, Meta(ge=0, le=4_194_304)]
"""0 for a container that does not run; the kernel's highest is PID_MAX_LIMIT."""
ExitStatus: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**32 - 1)]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
Port: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,5}$")]


class Refusal(Struct, frozen=True):
    """Why the engine does not do something."""

    message: str


class Version(Struct, frozen=True, rename="pascal"):
    """The engine itself."""

    version: Text
    api_version: Annotated[str, Meta(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$")]
    arch: Text = ""


class Info(Struct, frozen=True, rename="pascal"):
    """How the engine is configured."""

    security_options: tuple[Text, ...] | None = None


class Created(Struct, frozen=True, rename="pascal"):
    """A new container, network or exec."""

    id: Id


class ImageDetails(Struct, frozen=True, rename="pascal"):
    """An image on this machine."""

    id: Id
    repo_digests: tuple[Text, ...] | None = None
    architecture: Text = ""


class ImageSummary(Struct, frozen=True, rename="pascal"):
    """An image in a list."""

    id: Id
    repo_tags: tuple[Text, ...] | None = None


class ContainerSummary(Struct, frozen=True, rename="pascal"):
    """A container in a list; created in seconds since 1970."""

    id: Id
    names: Annotated[tuple[Text, ...], Meta(min_length=1)]
    labels: Labels | None = None
    created: Annotated[int, Meta(ge=-(2**40), le=2**40)] | None = None


class NetworkSummary(Struct, frozen=True, rename="pascal"):
    """A network in a list."""

    id: Id
    name: Text
    labels: Labels | None = None
    created: Instant | None = None


class VolumeSummary(Struct, frozen=True, rename="pascal"):
    """A volume in a list."""

    name: Id
    labels: Labels | None = None


class VolumeList(Struct, frozen=True, rename="pascal"):
    """All volumes that match."""

    volumes: tuple[VolumeSummary, ...] | None = None


class State(Struct, frozen=True, rename="pascal"):
    """Whether a container runs, and how it ended."""

    pid: Pid
    running: bool
    exit_code: ExitStatus
    oom_killed: bool = field(name="OOMKilled")
    restarting: bool = False


class Binding(Struct, frozen=True, rename="pascal"):
    """A published port; `host_ip` is empty for all addresses."""

    host_port: Port
    host_ip: Text = ""


class Attachment(Struct, frozen=True):
    """A container's place in a network."""

    address: Text = field(name="IPAddress")

    def __post_init__(self) -> None:
        """Refuse an address of the internet: the load goes there."""
        if self.address and ipaddress.ip_address(self.address).is_global:
            raise ValueError(f"{self.address} is no address of a container on this machine")


class NetworkSettings(Struct, frozen=True, rename="pascal"):
    """Where a container can be reached."""

    networks: Mapping[str, Attachment]
    ports: Mapping[str, tuple[Binding, ...] | None] | None = None


class ContainerDetails(Struct, frozen=True, rename="pascal"):
    """A container."""

    state: State
    network_settings: NetworkSettings


class ExecDetails(Struct, frozen=True, rename="pascal"):
    """A program that was started in a container; `pid` is the one on the host."""

    running: bool
    exit_code: ExitStatus | None = None
    pid: Pid = 0


class ProgressDetail(Struct, frozen=True):
    """How much of a layer has been transferred."""

    current: float = 0


class Progress(Struct, frozen=True):
    """One line of a build, a pull or a push."""

    stream: str = ""
    error: str = ""
    id: str = ""
    status: str = ""
    progress_detail: ProgressDetail | None = field(name="progressDetail", default=None)
    aux: Raw = Raw()


class ContainerEvent(Struct, frozen=True):
    """What happened to a container, such as ``die`` or ``oom``."""

    action: Text = field(name="Action")
    container_id: Id = field(name="id")
