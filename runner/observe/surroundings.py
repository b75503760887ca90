"""What is observed around a trial besides its subjects: other programs on this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace

from runner.core.facts import ObservedFacts, Subject, Window
from runner.observe.programs.watch import Programs


@dataclass(slots=True)
class Surroundings:
    """The surroundings of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
    """

    subjects: Sequence[Subject]
    window: Window
    _programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        self._programs = Programs(self.subjects, self.window)

    async def watch(self) -> None:
        """Observe until the window ends; what was seen until then is known if this is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._programs.watch)

    def add_to(self, observed: ObservedFacts) -> ObservedFacts:
        """Return what was observed, with the surroundings."""
        return replace(
            observed,
            programs=self._programs.found({}),
            notes=(*observed.notes, *self._programs.notes()),
        )
