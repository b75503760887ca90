"""Addresses of services in texts of a specification, and what is wrong with services beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from runner.experiment.app import App
from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.service_names import words_of
from runner.experiment.suggestions import did_you_mean, join_words

if TYPE_CHECKING:  # the program starts faster without these models
    from runner.experiment.services import Service, Watched

REFERENCE: Final = re.compile(r"(\$?)\$\{([a-zA-Z0-9_-]{1,64})\.([a-zA-Z0-9_-]{1,64})\}")
"""``${NAME.PART}``; its groups: a second ``$``, which makes it a literal, the name and the part."""
PARTS: Final = ("host", "port")
"""What a reference can insert of a service."""


Addresses: TypeAlias = Mapping[str, tuple[str, int | None]]
"""Service to the host and the port under which another part reaches it."""


class KnownServices(NamedTuple):
    """The services whose addresses hooks can insert.

    Attributes:
        started: Those of the system; None where only the stack knows them.
        watched: Those that run on this host already.
        on_host: Whether the parts of the system are in this host's network namespace.
    """

    started: Mapping[str, Service] | None
    watched: Mapping[str, Watched]
    on_host: bool


def fill_addresses(text: str, addresses: Addresses) -> str:
    """Return a text with ``${NAME.host}`` and ``${NAME.port}`` replaced; of ``$${NAME.host}`` one ``$`` goes.

    Args:
        text: A word of a command, or the value of a variable, of a specification that was validated.
        addresses: Service to its host and port; without any the text stays as it is written.
    """

    def replace(matched: re.Match[str]) -> str:
        escaped, name, part = matched.groups()
        if escaped or name not in addresses:
            return matched[0].removeprefix("$") if escaped else matched[0]
        return str(addresses[name][PARTS.index(part)])

    return REFERENCE.sub(replace, text) if addresses else text


def service_conflicts(
    services: Mapping[str, Service], watch: Mapping[str, Watched], app: App | None
) -> Iterator[Conflict]:
    """Yield what is wrong with names, and with the addresses of services in texts of the app and others."""
    for name in watch:
        twins = [other for other in (*services, *watch) if re.fullmatch(rf"{re.escape(name)}-[0-9]+", other)]
        if name in services or twins:
            other = name if name in services else twins[0]
            yield Conflict(
                ("watch", name), f"its name is too similar to that of the service {other}", "rename it"
            )
    for name, watched in watch.items():
        yield from _unknown(("watch", name), watched.own_words(), {name: watched}, {name: watched})
    if not services:
        return
    known: dict[str, Service] = {}
    for name, service in services.items():
        yield from _unknown(("services", name), service.words(), known, services)
        known[name] = service
        yield from _unknown(("services", name), service.own_words(), known, services)
    if app is not None:
        yield from _unknown(("app",), words_of(app.command, app.env), known, services)


def _unknown(
    above: tuple[str, ...],
    words: Iterator[tuple[tuple[str | int, ...], str]],
    known: Mapping[str, Service | Watched],
    services: Mapping[str, Service | Watched],
) -> Iterator[Conflict]:
    for at, text in words:
        for matched in REFERENCE.finditer(text):
            escaped, name, part = matched.groups()
            if not escaped and (problem := reference_problem(name, part, known, services)):
                yield Conflict((*above, *at), f"{matched[0]}: {problem[0]}", problem[1])


def reference_problem(
    name: str, part: str, known: Mapping[str, Service | Watched], services: Mapping[str, Service | Watched]
) -> tuple[str, str] | None:
    """Return what is wrong with a reference, and what to do."""
    if name not in services:
        hint = did_you_mean(name, services) or f"services are {join_words(services, 'and')}"
        return f"there is no service '{name}'", f"{hint}; write $${{ for a literal ${{"
    if part not in PARTS:
        return f"a service has no '{part}'", did_you_mean(part, PARTS) or "write host or port"
    if name not in known:
        return f"the service {name} starts later", "put it before the service that needs it"
    if part == "port" and not known[name].has_port:
        return f"the port of the service {name} is not known", f"add port to topology.services.{name}"
    return None


def process_conflicts(services: Mapping[str, Service]) -> Iterator[Conflict]:
    """Yield what prevents starting services as processes."""
    for name, service in services.items():
        wrong = {
            "image": "requires kind docker; kind process needs a command",
            "build": "requires kind docker; kind process needs a command",
            "cpus": "cannot be limited for kind process",
            "memory": "cannot be limited for kind process",
        }
        at = ("services", name)
        for key, why in wrong.items():
            yield from _if(getattr(service, key) is not None, (*at, key), f"{key} {why}", "use kind docker")
        no_command = service.command is None and not (service.image or service.build)
        yield from _if(
            no_command, at, "command is required for kind process", "such as command: [redis-server]"
        )
        hint = "a process can read the file itself: give its path in the command"
        yield from _if(service.files, (*at, "files"), "files requires kind docker", hint)


def docker_conflicts(services: Mapping[str, Service], kind: str = "docker") -> Iterator[Conflict]:
    """Yield what prevents starting services in containers."""
    for name, service in services.items():
        at = ("services", name)
        none = service.build is None and service.image is None
        yield from _if(none, at, f"build or image is required for kind {kind}", "such as image: redis:7")
        both = service.build is not None and service.image is not None
        yield from _if(both, (*at, "image"), "build and image cannot be combined")
        yield from _if(service.has_port and not service.port, at, "port is required where {port} is used")
        relative = service.cwd is not None and not PurePosixPath(service.cwd).is_absolute()
        yield from _if(relative, (*at, "cwd"), "should be an absolute path inside the container")
        yield from target_conflicts((*at, "files"), service.files)


def host_port_conflicts(
    services: Mapping[str, Service], app_ports: Sequence[int], other: str = ", or network: bridge"
) -> Iterator[Conflict]:
    """Yield a conflict for each service whose port another container has on a host's network.

    Args:
        services: Name to service.
        app_ports: Ports of the app.
        other: What else can be done than to use another port.
    """
    taken = dict.fromkeys(app_ports, "the app")
    for name, service in services.items():
        if service.port in taken:
            message = f"{taken[service.port]} listens on the same port of the host"
            yield Conflict(("services", name, "port"), message, f"use another port{other}")
        elif service.port:
            taken[service.port] = f"the service {name}"


def target_conflicts(
    at: tuple[str, ...], files: Mapping[str, str], others: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Conflict]:
    """Yield a conflict for each file whose path inside a container is already another one's.

    Args:
        at: Where the files are in the specification.
        files: Path or name to path inside.
        others: The same of files that are there before.
    """
    before = {str(PurePosixPath(target)) for target in others.values()}
    for name, target in files.items():
        inside = str(PurePosixPath(target))
        yield from _if(inside in before, (*at, name), f"{inside} is already another file")
        before.add(inside)


def _if(wrong: object, at: tuple[str | int, ...], message: str, hint: str = "") -> Iterator[Conflict]:
    conflict = conflict_if(wrong, at, message, hint)
    return iter([conflict] if conflict else [])
