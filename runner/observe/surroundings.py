"""What is observed around subjects: other programs, connections, and what services tell themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace

from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, Subject
from runner.core.system_facts import ServiceFacts
from runner.observe.inspect.watch import Inspection
from runner.observe.peers.watch import Peers
from runner.observe.programs.watch import Programs


@dataclass(slots=True)
class Surroundings:
    """The surroundings of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        inspect_urls: Service to the URL with which its statistics are read.
        services: Those of the system under test, by name.
    """

    subjects: Sequence[Subject]
    window: Window
    inspect_urls: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, ServiceFacts] = field(default_factory=dict)
    _programs: Programs = field(init=False)
    _peers: Peers = field(init=False)
    _inspection: Inspection = field(init=False)

    def __post_init__(self) -> None:
        watched = {
            service.port: name
            for name, service in self.services.items()
            if service.origin == "watched" and service.port
        }
        self._programs = Programs(self.subjects, self.window)
        self._peers = Peers(self.subjects, self.window, watched)
        self._inspection = Inspection(self.inspect_urls, self.window)

    async def watch(self) -> None:
        """Observe until the window ends; what was seen until then is known if this is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._programs.watch)
            nursery.start_soon(self._peers.watch)
            nursery.start_soon(self._inspection.watch)

    def add_to(self, observed: ObservedFacts) -> ObservedFacts:
        """Return what was observed, with the surroundings."""
        peers = self._peers.found()
        ports = {peer.pid: peer.port for peer in peers if peer.pid is not None and not peer.role}
        return replace(
            observed,
            counters=(*observed.counters, *self._inspection.readable),
            unreadable=(*observed.unreadable, *self._inspection.unreadable),
            programs=self._programs.found(ports),
            peers=peers,
            notes=(*observed.notes, *self._programs.notes(), *self._peers.notes()),
        )
