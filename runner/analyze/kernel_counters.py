"""The counters of the kernel, the proxy and the app in results.json, and the ways to ask for one.

A counter that could not be read stands apart with its reason, so that nobody takes it for zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from runner.core.facts import Counter, ObservedFacts

_FIELDS: Final = tuple(each.name for each in fields(Counter))
Stage = Mapping[str, Any]
Found = Mapping[str, Any]


def evidence(observed: ObservedFacts | None) -> dict[str, Any]:
    """``counters`` and ``unreadable`` of a stage; empty lists when nothing was observed."""
    if observed is None:
        return {"counters": [], "unreadable": []}
    return {
        "counters": [_as_json(counter) for counter in observed.counters],
        "unreadable": [asdict(each) for each in observed.unreadable],
    }


def _as_json(counter: Counter) -> dict[str, Any]:
    found = {name: getattr(counter, name) for name in _FIELDS}
    found["delta"] = counter.after - counter.before if counter.kind == "counter" else None
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in found.items()}


def counters(stage: Stage, name: str, scope: str = "") -> Iterator[Found]:
    """Counters of a name, in every scope that begins with `scope`."""
    for counter in stage.get("counters", ()):
        if counter["name"] == name and counter["scope"].startswith(scope):
            yield counter


def families(stage: Stage, prefix: str, scope: str = "") -> Iterator[Found]:
    """Counters whose names begin with `prefix`, such as ``tcp.accept_queue.``."""
    for counter in stage.get("counters", ()):
        if counter["name"].startswith(prefix) and counter["scope"].startswith(scope):
            yield counter


def rise(stage: Stage, name: str, scope: str = "") -> float:
    """By how much a counter rose in the window, over all scopes; 0 where it was not read."""
    return float(sum(counter["delta"] or 0 for counter in counters(stage, name, scope)))


def stolen_cores(stage: Stage) -> float:
    """What a hypervisor gave to other guests while this one wanted it, on average, in cores."""
    return rise(stage, "cpu.steal_s", "host") / stage["window_s"] if stage.get("window_s") else 0.0


def is_here(stage: Stage) -> bool:
    """Whether the service runs on this host, so that its counters tell of it: it or its port was seen."""
    listens = any(True for _ in families(stage, "tcp.accept_queue.", "net:host"))
    return stage["cpu_cores"].get("app") is not None or listens


def was_read(stage: Stage, name: str) -> bool:
    """Whether a counter is known at all."""
    return any(True for _ in counters(stage, name))
