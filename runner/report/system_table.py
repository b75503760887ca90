"""The system under test as its stack describes it, as rows for the appendix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.core.facts import ImageFacts, LimitFacts, ProxyFacts, SystemDescription
from runner.report.markdown_text import EMPTY, Markdown, code, markdown, table

_SHORT: Final = 19
"""``sha256:`` and twelve digits, as Docker shows ids."""


def system_table(topology: SystemDescription) -> Markdown:
    """Return a table of the components; empty when the stack describes nothing beyond its kind."""
    rows = list(_rows(topology))
    return table(["Component", "Value"], rows, figures=False) if rows else EMPTY


def _rows(topology: SystemDescription) -> Iterator[tuple[str, str]]:
    if topology.command:
        yield "command", code(" ".join(topology.command))
    if topology.url:
        yield "url", code(topology.url)
    for part, image in (topology.images or {}).items():
        yield f"{part} image", _image(image)
    if topology.build and topology.build.base:
        yield "base image", _image(topology.build.base)
    if topology.proxy:
        yield "proxy", _proxy(topology.proxy)
    if topology.engine:
        yield "Docker Engine", f"{topology.engine.version} (API {topology.engine.api})"
    if topology.network:
        yield "network", f"{topology.network}, load is sent to the {_destination(topology)}"
    if topology.cpus:
        yield "CPUs", f"app and proxy are pinned to {', '.join(map(str, topology.cpus))}"
    if limits := _limits(topology.limits):
        yield "limits per replica", limits


def _limits(limits: LimitFacts | None) -> str:
    if limits is None:
        return ""
    known = {"cpus": limits.cpus, "memory_mib": limits.memory_mib}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)


def _image(image: ImageFacts) -> Markdown:
    """Return name and digest; an image that was built here has an id and no digest."""
    stand_in = markdown(", stands in for {}", code(image.stands_in_for)) if image.stands_in_for else EMPTY
    known = "digest" if image.digest else "id"
    return markdown("{} ({} {}){}", code(image.name), known, code(_short(image.digest or image.id)), stand_in)


def _short(digest: str) -> str:
    name, at, value = digest.rpartition("@")
    return f"{name}{at}{value[:_SHORT]}"


def _proxy(proxy: ProxyFacts) -> str:
    upstream = "a new upstream connection per request"
    if proxy.keepalive:
        upstream = f"up to {proxy.keepalive} idle upstream connections per worker"
    version = f" {proxy.version}" if proxy.version else ""
    return f"{proxy.kind}{version}, {proxy.workers} workers, {upstream}"


def _destination(topology: SystemDescription) -> str:
    return "published port" if topology.publish == "port" else "container's own address"
