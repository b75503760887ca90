"""What was really built, from the stack's own description, as rows for the appendix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.report.markdown_text import code, escape, table

_SHORT = 19
"""``sha256:`` and twelve digits, as Docker shows ids."""


def built(topology: Mapping[str, Any]) -> str:
    """A table of the parts; empty when the stack told nothing beyond its kind."""
    rows = [[escape(name), value] for name, value in _rows(topology)]
    return table(["Part", "What it was"], rows, figures=False) if rows else ""


def _rows(topology: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if command := topology.get("command"):
        yield "command", code(command if isinstance(command, str) else " ".join(map(str, command)))
    if url := topology.get("url"):
        yield "url", code(str(url))
    for part, image in (topology.get("images") or {}).items():
        yield f"{part} image", _image(image)
    if base := (topology.get("build") or {}).get("base"):
        yield "built on", _image(base)
    if proxy := topology.get("proxy"):
        yield "proxy", _proxy(proxy)
    if engine := topology.get("engine"):
        yield "Docker Engine", escape(f"{engine['version']} (API {engine['api']})")
    if network := topology.get("network"):
        yield "network", escape(f"{network}, load to the {_destination(topology)}")
    if cpus := topology.get("cpus"):
        yield "processors", escape(f"app and proxy stayed on {', '.join(map(str, cpus))}")
    limits = {name: value for name, value in (topology.get("limits") or {}).items() if value is not None}
    if limits:
        yield "limits a replica", escape(", ".join(f"{name} {value}" for name, value in limits.items()))


def _image(image: Mapping[str, Any]) -> str:
    """Name, and the digest; an image that was built here has an id and no digest."""
    mark = image.get("digest") or image.get("id") or ""
    known = "digest" if image.get("digest") else "id"
    stand_in = f", stands in for {code(image['stands_in_for'])}" if image.get("stands_in_for") else ""
    return f"{code(image['name'])} ({known} {code(_shortened(mark))}){stand_in}"


def _shortened(mark: str) -> str:
    name, at, digest = mark.rpartition("@")
    return f"{name}{at}{digest[:_SHORT]}"


def _proxy(proxy: Mapping[str, Any]) -> str:
    kept = proxy.get("keepalive") or 0
    upstream = (
        f"{kept} idle upstream connections kept" if kept else "a new upstream connection for every request"
    )
    return escape(f"{proxy['kind']} {proxy.get('version') or ''}, {proxy.get('workers')} workers, {upstream}")


def _destination(topology: Mapping[str, Any]) -> str:
    return "published port" if topology.get("publish") == "port" else "container's own address"
