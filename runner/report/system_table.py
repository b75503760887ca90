"""The system under test as a table of its components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import asdict

from runner.core.system_facts import (
    ImageFacts,
    LimitFacts,
    NodeFacts,
    ProxyFacts,
    ServiceFacts,
    SystemDescription,
)
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown, table
from runner.report.network_path import PATHS
from runner.report.number_format import plural
from runner.report.system_text import addresses_used, command_line

_MOST_NODES: Final = 32
_SHORT: Final = 19
"""``sha256:`` and twelve digits, as Docker shows ids."""


def system_table(topology: SystemDescription) -> Markdown:
    """Return a table of the components; empty when the stack describes nothing beyond its kind."""
    rows = list(_rows(topology))
    return table(["Component", "Value"], rows, figures=False) if rows else EMPTY


def _rows(topology: SystemDescription) -> Iterator[tuple[str, str]]:
    if topology.command:
        yield "command", code(command_line(topology.command))
    yield from _place(topology)
    for name, service in (topology.services or {}).items():
        yield f"service {name}", _service(service)
    for part, image in (topology.images or {}).items():
        yield f"{part} image", _image(image)
    if topology.build and topology.build.base:
        yield "base image", _image(topology.build.base)
    if topology.proxy:
        yield "proxy", _proxy(topology.proxy)
    if topology.engine:
        yield "Docker Engine", f"{topology.engine.version} (API {topology.engine.api})"
    yield from _nodes(topology)
    if topology.network:
        destination = "published port" if topology.publish == "port" else "container's own address"
        yield "network", f"{topology.network}, load is sent to the {destination}"
    if topology.cpus:
        parts = "app, services and proxy" if topology.services else "app and proxy"
        yield "CPUs", f"{parts} are pinned to {', '.join(map(str, topology.cpus))}"
    if known := _limits(topology.limits):
        yield "limits per replica", known


def _nodes(topology: SystemDescription) -> Iterator[tuple[str, str]]:
    """Yield the nodes that took part in an experiment on several machines, and how they are connected."""
    nodes = (topology.nodes or {}).values()
    used = [node for node in nodes if node.runs]
    for node in used[:_MOST_NODES]:
        yield f"node {node.name}", _node(node)
    if more := len(nodes) - len(used[:_MOST_NODES]):
        yield "other nodes", f"{more:,}"
    if topology.path:
        yield "network path", markdown("{}: {}", topology.path, PATHS.get(topology.path, topology.path))
    if topology.registry:
        yield "registry", code(topology.registry)


def _node(node: NodeFacts) -> Markdown:
    known = (f"{node.memory_mib:,.0f} MiB", node.architecture, f"Docker Engine {node.engine}")
    kernel = [f"kernel {node.kernel}"] if node.kernel else []
    what = join(", ", [plural(round(node.cores), "core"), *known, *kernel])
    return markdown("{}; runs {}", what, listed(map(code, node.runs)))


def _service(service: ServiceFacts) -> Markdown:
    """Return how a service came to be, where it listens, and its limits."""
    parts: list[str] = []
    if service.origin == "watched":
        pids = listed([str(pid) for pid in service.pids or ()])
        parts.append(markdown("ran already, {} {}", "pid" if len(service.pids or ()) == 1 else "pids", pids))
    if service.image:
        parts.append(_image(service.image))
    if service.command:
        parts.append(code(command_line(service.command)))
    if service.port:
        parts.append(f"port {service.port}")
    if service.replicas > 1 and service.origin != "watched":
        parts.append(plural(service.replicas, "replica"))
    if limits := _limits(service.limits):
        parts.append(f"limits {limits}")
    if service.files:
        parts.append(markdown("with {}, read-only", listed(map(code, service.files))))
    return join(", ", parts)


def _limits(limits: LimitFacts | None) -> str:
    known = asdict(limits) if limits else {}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)


def _place(topology: SystemDescription) -> Iterator[tuple[str, str]]:
    if topology.url:
        yield "url", code(topology.url)
    if topology.address:
        several = topology.addresses or topology.unused_addresses
        yield "address", addresses_used(topology) if several else code(topology.address)


def _image(image: ImageFacts) -> Markdown:
    """Return name and digest; an image that was built here has an id and no digest."""
    stand_in = markdown(", stands in for {}", code(image.stands_in_for)) if image.stands_in_for else EMPTY
    known = "digest" if image.digest else "id"
    name, at, value = (image.digest or image.id).rpartition("@")
    return markdown("{} ({} {}){}", code(image.name), known, code(f"{name}{at}{value[:_SHORT]}"), stand_in)


def _proxy(proxy: ProxyFacts) -> str:
    upstream = "a new upstream connection per request"
    if proxy.keepalive:
        upstream = f"up to {proxy.keepalive} idle upstream connections per worker"
    version = f" {proxy.version}" if proxy.version else ""
    return f"{proxy.kind}{version}, {proxy.workers} workers, {upstream}"
