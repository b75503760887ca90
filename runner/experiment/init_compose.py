"""The specification that `runner init` generates for a compose file (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from runner.core.codes import Role
from runner.experiment.compose import unclear_roles

_DATABASES: Final = re.compile(
    r"postgres|postgis|mysql|mariadb|redis|valkey|mongo|rabbitmq|kafka|memcached|elasticsearch|zookeeper|minio"
)
_PROXIES: Final = re.compile(r"nginx|traefik|caddy|haproxy|envoy|httpd|apache|varnish|gateway|proxy")
_HTTP_PORTS: Final = (80, 8080, 8000, 3000, 5000, 8081, 4000, 9000)
"""Those that are most often HTTP, the surest first."""
_NOT_HTTP: Final = frozenset({22, 443, 3306, 5432, 5672, 6379, 9092, 9200, 11211, 27017})
_PATH_OF_CHECK: Final = re.compile(r"https?://[^/\s\"']+(?P<path>/[!-~]*?)(?=[\s\"'|;)\]]|$)")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """What is known of a service of a compose file.

    Attributes:
        image: Its image, empty if it is built.
        ports: Those that it publishes, inside its container.
        exposed: Those that it only exposes.
        check: The command of its health check, as text.
        depends_on: Services that start before it.
    """

    image: str = ""
    ports: tuple[int, ...] = ()
    check: str = ""
    depends_on: tuple[str, ...] = ()
    exposed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """Where the load goes, and which services are the app and the proxy."""

    service: str
    port: int
    health: str
    roles: Mapping[str, str]


def propose(services: Mapping[str, ComposeService]) -> Proposal | None:
    """Return what a first specification says; None if no service has a port that may be HTTP.

    Ports that are published come first; load reaches those that are only exposed at the container's address.
    """
    published = {name: service.ports for name, service in services.items()}
    exposed = {name: service.exposed for name, service in services.items()}
    candidates = _candidates(services, published) or _candidates(services, exposed)
    if not candidates:
        return None
    _, name, port = min(candidates)
    check = _PATH_OF_CHECK.search(services[name].check)
    return Proposal(name, port, check["path"] if check else "/", _roles(name, services))


def _candidates(
    services: Mapping[str, ComposeService], ports: Mapping[str, Iterable[int]]
) -> list[tuple[tuple[bool, int], str, int]]:
    return [
        (_rank(name, service, port), name, port)
        for name, service in services.items()
        for port in ports[name]
        if port not in _NOT_HTTP and not _is_database(name, service)
    ]


def topology_text(files: Iterable[str], proposal: Proposal, services: Mapping[str, ComposeService]) -> str:
    """Return the lines of the topology, with comments on what users change."""
    others = [
        name
        for name, service in services.items()
        if name != proposal.service and not _is_database(name, service)
    ]
    roles = ", ".join(f"{json.dumps(name)}: {role}" for name, role in proposal.roles.items())
    lines = [
        "  kind: compose                 # your file, as it is, under a project name of its own",
        f"  files: {json.dumps(list(files))}",
        f"  target: {{service: {json.dumps(proposal.service)}, port: {proposal.port}}}   # inside it",
        f"  health: {json.dumps(proposal.health)}                   # must return 2xx before the load starts",
    ]
    if roles:
        lines.append(f"  roles: {{{roles}}}")
    elif others:
        lines.append(
            f"  # roles: {{{json.dumps(others[0])}: app, {json.dumps(proposal.service)}: proxy}}"
            "   # if the target is only in front of the app"
        )
    app = next((name for name, role in proposal.roles.items() if role == Role.APP), proposal.service)
    lines.append(f"  # scale: {{{json.dumps(app)}: 2}}")
    return "\n".join(lines)


def _rank(name: str, service: ComposeService, port: int) -> tuple[bool, int]:
    """Return a key that is smallest for the service that users' requests reach first."""
    place = _HTTP_PORTS.index(port) if port in _HTTP_PORTS else len(_HTTP_PORTS)
    return not _is_proxy(name, service), place


def _roles(target: str, services: Mapping[str, ComposeService]) -> dict[str, str]:
    """Return roles if the target is in front of the app, or another service is called as one."""
    for name in unclear_roles(services, {}, target):
        return {name: "app", target: "proxy"} if name == Role.APP else {target: "app", name: "proxy"}
    behind = [
        name
        for name in services[target].depends_on
        if name in services and not _is_database(name, services[name])
    ]
    return {behind[0]: "app", target: "proxy"} if behind and _is_proxy(target, services[target]) else {}


def _is_database(name: str, service: ComposeService) -> bool:
    return bool(_DATABASES.search(service.image or name))


def _is_proxy(name: str, service: ComposeService) -> bool:
    return bool(_PROXIES.search(f"{service.image} {name}"))
