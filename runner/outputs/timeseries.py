"""One row for each second of each trial: of the whole stage, of its requests and scenarios, of each role.

The numbers of a second are those of the report: requests are counted in the second in which they ended, and
the cores of a role are the difference of two readings of a counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.facts import TrialFacts
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.ramp import Ramp
from runner.outputs.place import Part, Place
from runner.outputs.role_seconds import RoleSecond, role_seconds

WARM_UP: Final = "warm-up"
WINDOW: Final = "window"
DRAIN: Final = "drain"


@dataclass(frozen=True, slots=True)
class Moment:
    """A second of a part of a trial.

    Attributes:
        place: The trial.
        part: What it is about.
        name: Of that; empty for the whole stage.
        index: 0 is the measured window's first second, negative the warm-up.
        load: What happened to requests, or to the runs of a scenario; None of a role.
        share: The part's share of the target.
        used: What a role used; None of anything else.
    """

    place: Place
    part: Part
    name: str
    index: int
    load: LoadSecond | None = None
    share: float = 1.0
    used: RoleSecond | None = None

    @property
    def phase(self) -> str:
        """Whether it belongs to the warm-up, the measured window, or the time of late responses."""
        if self.index < 0:
            return WARM_UP
        return WINDOW if self.index < self.place.trial.window_s else DRAIN

    @property
    def target_rps(self) -> float | None:
        """The requests offered in this second; None with users, and of scenarios and roles."""
        trial = self.place.trial
        if self.part not in {Part.STAGE, Part.REQUEST} or trial.target_rps is None:
            return None
        return self._level(trial.ramp or trial.target_rps)

    @property
    def target_users_per_s(self) -> float | None:
        """The users that start a scenario in this second; None in the closed model and of requests."""
        level = self.place.trial.users_per_s
        if self.part not in {Part.STAGE, Part.SCENARIO} or level is None:
            return None
        return self._level(level)

    @property
    def target_users(self) -> float | None:
        """How many users there are in this second of the closed model."""
        level = self.place.trial.users
        return None if self.part is not Part.STAGE or level is None else self._level(level)

    def _level(self, level: float | Ramp) -> float | None:
        """Return a level in the middle of this second; None after the window, when nothing is offered."""
        if self.phase == DRAIN:
            return None
        if not isinstance(level, Ramp):
            return level * self.share
        passed = min(1.0, max(0.0, (self.index + 0.5) / self.place.trial.window_s))
        return level.at(passed) * self.share


def moments(places: Sequence[Place]) -> Iterator[Moment]:
    """Yield every second of every part of some trials: a trial's stage, then its parts, then its roles."""
    for place in places:
        if place.trial.load:
            yield from _of_load(place, place.trial.load)
        yield from _of_roles(place, place.trial)


def _of_load(place: Place, load: LoadFacts) -> Iterator[Moment]:
    yield from (Moment(place, Part.STAGE, "", second.index, second) for second in load.seconds)
    for name, request in load.parts.items():
        yield from _of_part(place, load, Part.REQUEST, name, request.share)
    for name, scenario in load.scenarios.items():
        yield from _of_part(place, load, Part.SCENARIO, name, scenario.share)


def _of_part(place: Place, load: LoadFacts, part: Part, name: str, share: float) -> Iterator[Moment]:
    """Yield every second of a request or scenario, also those in which nothing happened to it."""
    for second in load.seconds:
        parts = second.parts if part is Part.REQUEST else second.scenarios
        own = parts.get(name) or LoadSecond(second.index)
        yield Moment(place, part, name, second.index, own, share)


def _of_roles(place: Place, trial: TrialFacts) -> Iterator[Moment]:
    if trial.observed is None:
        return
    machines = {"": trial.observed, **trial.observed.nodes}
    for node, observed in machines.items():
        for used in role_seconds(observed, node):
            yield Moment(place, Part.ROLE, used.role, used.index, used=used)
