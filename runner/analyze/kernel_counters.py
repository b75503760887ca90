"""The counters of the kernel, the proxy and the app in a stage, and queries on them.

A counter that could not be read is listed separately with the reason, so that it is not taken for zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from runner.analyze.statistics import rounded
from runner.core.codes import Role, is_service
from runner.core.findings import Evidence
from runner.core.observed_facts import Counter, ObservedFacts
from runner.core.observed_results import CounterReading, UnreadableCounter
from runner.core.stage_results import Stage

_DIGITS: Final = 6


def readings(observed: ObservedFacts) -> tuple[CounterReading, ...]:
    """Return a stage's counters."""
    return tuple(map(_reading, observed.counters))


def unreadable(observed: ObservedFacts) -> tuple[UnreadableCounter, ...]:
    """Return the counters that could not be read."""
    return tuple(UnreadableCounter(it.scope, it.name, it.reason) for it in observed.unreadable)


def _reading(counter: Counter) -> CounterReading:
    return CounterReading(
        scope=counter.scope,
        name=counter.name,
        unit=counter.unit,
        kind=counter.kind,
        before=round(counter.before, _DIGITS),
        after=round(counter.after, _DIGITS),
        peak=rounded(counter.peak, _DIGITS),
        limit=rounded(counter.limit, _DIGITS),
        delta=round(counter.after - counter.before, _DIGITS) if counter.kind == "counter" else None,
        from_s=UNSET if counter.from_s is None else round(counter.from_s, _DIGITS),
        to_s=UNSET if counter.to_s is None else round(counter.to_s, _DIGITS),
    )


def counters(stage: Stage, name: str, scope: str = "") -> Iterator[CounterReading]:
    """Return the counters with a name, in every scope that starts with `scope`."""
    return (counter for counter in counters_with_prefix(stage, name, scope) if counter.name == name)


def counters_with_prefix(stage: Stage, prefix: str, scope: str = "") -> Iterator[CounterReading]:
    """Return the counters whose names start with `prefix`, such as ``tcp.accept_queue.``."""
    inside = (counter for counter in stage.counters if counter.scope.startswith(scope))
    return (counter for counter in inside if counter.name.startswith(prefix))


def increase(stage: Stage, name: str, scope: str = "") -> float:
    """Return by how much a counter rose in the window, over all scopes; 0 if it was not read."""
    return float(sum(counter.delta or 0 for counter in counters(stage, name, scope)))


def per_second(stage: Stage, counter: CounterReading) -> float:
    """Return by how much a counter rose in a second of the time that its readings cover."""
    seconds = stage.window_s
    if counter.from_s is not UNSET and counter.to_s is not UNSET:
        seconds = counter.to_s - counter.from_s
    return (counter.delta or 0.0) / seconds if seconds > 0 else 0.0


def stolen_cores(stage: Stage) -> float:
    """Return the CPU that the hypervisor gave to other guests while this one needed it, in cores."""
    return increase(stage, "cpu.steal_s", "host") / stage.window_s


def is_local(stage: Stage) -> bool:
    """Return whether the service runs on this host: its CPU or its listening port was observed.

    This host's counters say nothing about a service on another host.
    """
    listens = any(counters_with_prefix(stage, "tcp.accept_queue.", "net:host"))
    return stage.cpu_cores.get(Role.APP) is not None or listens


def is_of_service(stage: Stage, counter: CounterReading) -> bool:
    """Return whether a counter is of a service or of its own network, and so not of the app or the proxy."""
    subject = stage.cpu_cores_by_subject.get(counter.scope.removeprefix("net:"))
    return subject is not None and is_service(subject.role)


def counter_evidence(
    counter: CounterReading, name: str, *, threshold: float | None = None, source: str = ""
) -> Evidence:
    """Return a cumulative counter's increase in the window as evidence; fields as of `Evidence`."""
    return Evidence(name, counter.delta or 0, counter.unit, threshold, source, counter.before, counter.after)


def gc_evidence(stage: Stage) -> tuple[Evidence, ...]:
    """Return each replica's share of time in garbage collection: it is often suspected. No bound is known."""
    return tuple(
        Evidence(
            f"garbage collection in {counter.scope}",
            round(per_second(stage, counter) * 100, 2),
            "% of the time",
            before=counter.before,
            after=counter.after,
        )
        for counter in counters(stage, "app.gc_s")
    )
