"""What Compose makes of a compose file: its services, ports, images, networks and volumes, as types."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from runner.core.errors import StackFailed
from runner.experiment.compose_file import load_yaml

Text: TypeAlias = Annotated[str, Meta(max_length=10_000)]
_MAX_SERVICES: Final = 200
_PORT: Final = re.compile(
    r"(?:(?P<host_ip>\[?[0-9A-Fa-f.:]+?\]?):)?(?:(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+)(?:/(?P<protocol>\w+))?"
)


class PublishedPort(Struct, frozen=True):
    """A port that a service publishes.

    Attributes:
        target: Inside the container.
        published: On this machine: a number, a range, or empty if the engine chooses one.
        protocol: Such as ``tcp``.
    """

    target: Annotated[int, Meta(ge=1, le=65535)]
    published: str | int = ""
    protocol: Text = "tcp"

    @property
    def fixed(self) -> int | None:
        """The port on this machine, if the file fixes one."""
        text = str(self.published)
        return int(text) if text.isdecimal() and self.protocol == "tcp" and 0 < int(text) < 65536 else None


class Build(Struct, frozen=True):
    """How a service's image is built."""

    context: Text = "."
    dockerfile: Text | None = None
    dockerfile_inline: Text | None = None
    args: Mapping[str, Any] | tuple[Text, ...] | None = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The build arguments, by name."""
        if isinstance(self.args, tuple):
            return dict(word.partition("=")[::2] for word in self.args)
        return self.args or {}

    @property
    def fingerprint(self) -> str:
        """A tag that differs between folders and between ways to build them."""
        text = repr((self.context, self.dockerfile, self.dockerfile_inline, sorted(self.arguments.items())))
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


class Service(Struct, frozen=True):
    """A service of a compose file.

    Attributes:
        environment: Name to value, None for one that is passed on.
        healthcheck: As in the file; present if there is one.
        expose: Ports that others of the project reach, as numbers or as texts such as ``8000/tcp``.
    """

    image: Text | None = None
    build: Build | None = None
    container_name: Text | None = None
    network_mode: Text | None = None
    ports: tuple[PublishedPort | str | int, ...] = ()
    expose: tuple[str | int, ...] | None = None
    environment: Mapping[str, Any] | None = None
    healthcheck: Mapping[str, Any] | None = None
    networks: Any = None
    profiles: tuple[Text, ...] = ()
    depends_on: Mapping[str, Any] | tuple[Text, ...] | None = None

    @property
    def published(self) -> tuple[PublishedPort, ...]:
        """Its ports, whatever the form they are written in."""
        return tuple(port for item in self.ports if (port := _port(item)))

    @property
    def exposed(self) -> tuple[int, ...]:
        """The single TCP ports that it exposes without publishing them."""
        texts = (str(item).removesuffix("/tcp") for item in self.expose or ())
        return tuple(int(text) for text in texts if text.isdecimal() and len(text) < 6)


class Resource(Struct, frozen=True):
    """A network or a volume.

    Attributes:
        external: Whether it exists already and belongs to the user; older files give its name here.
    """

    external: bool | Mapping[str, Any] = False

    @property
    def is_external(self) -> bool:
        """Whether it belongs to the user."""
        return self.external is not False


class Config(Struct, frozen=True):
    """A compose file after Compose has read it."""

    services: Mapping[str, Service] = field(default_factory=dict)
    networks: Mapping[str, Resource | None] = field(default_factory=dict)
    volumes: Mapping[str, Resource | None] = field(default_factory=dict)
    version: Text | None = None

    def enabled(self, profiles: Sequence[str]) -> Config:
        """Return it without the services of other profiles, which version 1 lists too."""
        services = {
            name: service
            for name, service in self.services.items()
            if not service.profiles or {*service.profiles} & {*profiles}
        }
        return msgspec.structs.replace(self, services=services)

    @property
    def own_networks(self) -> tuple[str, ...]:
        """Networks that Compose creates; version 1 does not list the default one."""
        used = any(not service.networks and not service.network_mode for service in self.services.values())
        listed = [name for name, network in self.networks.items() if not _is_external(network)]
        default = ["default"] if used and "default" not in self.networks else []
        return (*listed, *default)

    @property
    def own_volumes(self) -> tuple[str, ...]:
        """Named volumes that Compose creates."""
        return tuple(name for name, volume in self.volumes.items() if not _is_external(volume))


def read_config(output: bytes, *, is_json: bool) -> Config:
    """Return what ``config`` printed.

    Raises:
        StackFailed: It is not what Compose prints.
    """
    try:
        data = msgspec.json.decode(output) if is_json else load_yaml(output)
        config = msgspec.convert(data, Config)
    except (ValueError, RecursionError) as error:
        raise StackFailed(f"what Compose makes of the file cannot be used: {str(error)[:300]}") from None
    if not 0 < len(config.services) <= _MAX_SERVICES:
        raise StackFailed(f"the compose file has {len(config.services)} services; 1 to {_MAX_SERVICES} work")
    return config


def _is_external(resource: Resource | None) -> bool:
    return resource is not None and resource.is_external


def _port(item: PublishedPort | str | int) -> PublishedPort | None:
    if isinstance(item, PublishedPort):
        return item
    match = _PORT.fullmatch(str(item))
    if match is None or not 0 < int(match["target"]) < 65536:
        return None  # a range: none of them is fixed
    return PublishedPort(int(match["target"]), match["published"] or "", match["protocol"] or "tcp")
