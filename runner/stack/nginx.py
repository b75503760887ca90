"""Nginx in front of the replicas: one rendered configuration, for a container or for this host.

The template holds everything that decides how many connections the second hop costs:
upstream keep-alive, workers, backlog, file limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import jinja2

from runner.core.system_facts import ProxyFacts
from runner.experiment.model import Proxy
from runner.stack.ports import free_port

BACKLOG: Final = 4096
"""Linux's own upper limit (net.core.somaxconn) since 5.4; nginx's default is 511."""

STATUS_PATH: Final = "/nginx_status"


@dataclass(frozen=True, slots=True)
class NginxSettings:
    """The variables of the template.

    Attributes:
        upstreams: ``host:port`` of every replica.
        listen: ``port`` or ``address:port`` of the proxied service.
        status_listen: The same for stub_status.
        scratch: A folder nginx may write to.
        keepalive: Idle upstream connections kept by each worker; 0 means a new connection
            upstream for every request.
        workers: Worker processes, or ``auto`` for one per CPU.
        user: The user that workers of an nginx started by root run as; None for nginx's default.
        backlog: Requested length of the accept queue.
        worker_connections: Limit per worker, client and upstream connections together.
        max_files: Limit of open files per worker; None leaves the inherited one.
    """

    upstreams: Sequence[str]
    listen: str
    status_listen: str
    scratch: str
    keepalive: int = 0
    workers: int | Literal["auto"] = "auto"
    user: str | None = None
    backlog: int = BACKLOG
    worker_connections: int = 16_384
    max_files: int | None = None
    status_path: str = STATUS_PATH


_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("runner.stack"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701  (nginx.conf is not HTML, and contains no user's text)
)


def render_nginx(settings: NginxSettings) -> str:
    """Return the text of nginx.conf."""
    return _TEMPLATES.get_template("nginx.conf.j2").render(asdict(settings))


def two_free_ports() -> tuple[int, int]:
    """Return two free ports, for the proxied service and for stub_status."""
    ports: set[int] = set()
    while len(ports) < 2:
        ports.add(free_port())
    first, second = ports
    return first, second


def describe_proxy(proxy: Proxy, version: str | None) -> ProxyFacts:
    """Return the facts about a proxy."""
    return ProxyFacts(
        kind=proxy.kind,
        version=version,
        keepalive=proxy.keepalive,
        workers=proxy.workers,
        connections=proxy.connections,
        backlog=BACKLOG,
    )
