"""What is observed around a trial besides its subjects: other programs, and what services tell themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace

from runner.core.facts import ObservedFacts, Subject, Window
from runner.observe.inspect.watch import Inspection
from runner.observe.programs.watch import Programs


@dataclass(slots=True)
class Surroundings:
    """The surroundings of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        inspect_urls: Service to the URL with which its statistics are read.
    """

    subjects: Sequence[Subject]
    window: Window
    inspect_urls: Mapping[str, str] = field(default_factory=dict)
    _programs: Programs = field(init=False)
    _inspection: Inspection = field(init=False)

    def __post_init__(self) -> None:
        self._programs = Programs(self.subjects, self.window)
        self._inspection = Inspection(self.inspect_urls, self.window)

    async def watch(self) -> None:
        """Observe until the window ends; what was seen until then is known if this is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._programs.watch)
            nursery.start_soon(self._inspection.watch)

    def add_to(self, observed: ObservedFacts) -> ObservedFacts:
        """Return what was observed, with the surroundings."""
        return replace(
            observed,
            counters=(*observed.counters, *self._inspection.readable),
            unreadable=(*observed.unreadable, *self._inspection.unreadable),
            programs=self._programs.found({}),
            notes=(*observed.notes, *self._programs.notes()),
        )
