"""The counters of the kernel, the proxy and the app in a stage, and queries on them.

A counter that could not be read is listed separately with the reason, so that it is not taken for zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.core.facts import Counter, ObservedFacts, Role
from runner.core.results import CounterReading, Evidence, Stage, UnreadableCounter

_DIGITS: Final = 6


def readings(observed: ObservedFacts | None) -> tuple[CounterReading, ...]:
    """Return a stage's counters; empty if nothing was observed."""
    return tuple(map(_reading, observed.counters)) if observed else ()


def unreadable(observed: ObservedFacts | None) -> tuple[UnreadableCounter, ...]:
    """Return the counters that could not be read."""
    counters = observed.unreadable if observed else ()
    return tuple(UnreadableCounter(counter.scope, counter.name, counter.reason) for counter in counters)


def _reading(counter: Counter) -> CounterReading:
    return CounterReading(
        scope=counter.scope,
        name=counter.name,
        unit=counter.unit,
        kind=counter.kind,
        before=round(counter.before, _DIGITS),
        after=round(counter.after, _DIGITS),
        peak=None if counter.peak is None else round(counter.peak, _DIGITS),
        limit=None if counter.limit is None else round(counter.limit, _DIGITS),
        delta=round(counter.after - counter.before, _DIGITS) if counter.kind == "counter" else None,
    )


def counters(stage: Stage, name: str, scope: str = "") -> Iterator[CounterReading]:
    """Return the counters with a name, in every scope that starts with `scope`."""
    return (counter for counter in stage.counters if counter.name == name and counter.scope.startswith(scope))


def counters_with_prefix(stage: Stage, prefix: str, scope: str = "") -> Iterator[CounterReading]:
    """Return the counters whose names start with `prefix`, such as ``tcp.accept_queue.``."""
    return (
        counter
        for counter in stage.counters
        if counter.name.startswith(prefix) and counter.scope.startswith(scope)
    )


def increase(stage: Stage, name: str, scope: str = "") -> float:
    """Return by how much a counter rose in the window, over all scopes; 0 if it was not read."""
    return float(sum(counter.delta or 0 for counter in counters(stage, name, scope)))


def stolen_cores(stage: Stage) -> float:
    """Return the CPU that the hypervisor gave to other guests while this one needed it, in cores."""
    return increase(stage, "cpu.steal_s", "host") / stage.window_s


def is_local(stage: Stage) -> bool:
    """Return whether the service runs on this host: its CPU or its listening port was observed.

    This host's counters say nothing about a service on another host.
    """
    listens = any(counters_with_prefix(stage, "tcp.accept_queue.", "net:host"))
    return stage.cpu_cores.get(Role.APP) is not None or listens


def was_read(stage: Stage, name: str) -> bool:
    """Return whether a counter was read in any scope."""
    return any(counters(stage, name))


def counter_evidence(
    counter: CounterReading, name: str, *, threshold: float | None = None, source: str = ""
) -> Evidence:
    """Return a cumulative counter's increase in the window as evidence.

    Args:
        counter: The reading.
        name: What it counts, for people.
        threshold: The value from which it counts.
        source: Where the threshold comes from.
    """
    return Evidence(name, counter.delta or 0, counter.unit, threshold, source, counter.before, counter.after)
