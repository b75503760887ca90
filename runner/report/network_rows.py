"""Rows of the table of network and disk: bytes per second by role, on the machines' cards and over loopback.

A packet is counted where it is sent and where it is received, so the rows of two roles that talk to each
other contain the same bytes. They are never added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from runner.core.observed_facts import LOOPBACK_BYTES, NETWORK_RECEIVED, NETWORK_SENT
from runner.core.stage_results import Stage
from runner.report.metric_text import role_name
from runner.report.nodes import RUNNERS_MACHINE

_MACHINE: Final = "net:host"
_HEADINGS: Final = {
    NETWORK_RECEIVED: "Received by",
    NETWORK_SENT: "Sent by",
    LOOPBACK_BYTES: "Over loopback of",
}

Bytes: TypeAlias = Callable[[Stage], float | None]


class NetworkRow(NamedTuple):
    """One row: its heading without a unit, and what returns the bytes in a stage's window."""

    heading: str
    read: Bytes


class _Place(NamedTuple):
    """Where bytes were counted, as a heading names it, and the counter."""

    owner: str
    counter: str


def network_rows(stages: Sequence[Stage]) -> list[NetworkRow]:
    """Return a row for each role with a network of its own, and for machines; none for old results."""
    places = dict.fromkeys(place for stage in stages for place, _ in _counted(stage))
    return [NetworkRow(f"{_HEADINGS[place.counter]} {place.owner}", _bytes_at(place)) for place in places]


def _bytes_at(place: _Place) -> Bytes:
    def read(stage: Stage) -> float | None:
        counts = [count for at, count in _counted(stage) if at == place]
        return sum(counts) if counts else None

    return read


def _counted(stage: Stage) -> Iterator[tuple[_Place, float]]:
    """Yield the bytes of each network, machines first; loopback only of the machine that the runner is on."""
    readings = [
        (on_node, reading)
        for on_node, counters in ((False, stage.counters), *((True, node.counters) for node in stage.nodes))
        for reading in counters
        if reading.name in _HEADINGS and reading.delta is not None
    ]
    for on_node, reading in sorted(readings, key=lambda item: item[1].scope != _MACHINE):
        is_loopback = reading.name == LOOPBACK_BYTES
        if not is_loopback or (reading.scope == _MACHINE and not on_node):
            owner = (
                _machine(stage, on_node=on_node) if reading.scope == _MACHINE else _role(stage, reading.scope)
            )
            yield _Place(owner, reading.name), reading.delta or 0.0


def _machine(stage: Stage, *, on_node: bool) -> str:
    if on_node:
        return "all nodes"
    return RUNNERS_MACHINE if stage.nodes else "the host"


def _role(stage: Stage, scope: str) -> str:
    """Return the role whose network this is; a network that two parts share is named after one of them."""
    subject = scope.removeprefix("net:")
    usage = stage.cpu_cores_by_subject.get(subject)
    return role_name(usage.role) if usage else subject
