"""A scenario as a list of operations that a user goes through, with jumps in place of nested steps.

So a user is a place in the list and a stack of loops, which costs little for each of many thousand users.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from runner.core.units import Nanoseconds
from runner.load.conditions import Holds, all_hold
from runner.load.drawing import below, draw
from runner.load.scenario_order import (
    MAX_VISITED,
    ChooseStep,
    ForEachStep,
    IfStep,
    PauseStep,
    ProbabilityStep,
    RepeatStep,
    RequestStep,
    WorkerStep,
)
from runner.load.walk import CannotGoOn, Walk

_SHOWN: Final = 60
_BITS: Final = 53
_SCALE: Final = 2.0**-_BITS


class Send:
    """Sends the request of a step, and waits for the response."""

    __slots__ = ("step",)

    def __init__(self, step: RequestStep) -> None:
        self.step = step


class Pause:
    """Waits."""

    __slots__ = ("step",)

    def __init__(self, step: PauseStep) -> None:
        self.step = step

    def length_ns(self, walk: Walk) -> Nanoseconds:
        """Return how long a user waits."""
        step = self.step
        if step.low_ns == step.high_ns:
            return step.low_ns
        return step.low_ns + below(step.key, walk.position, step.high_ns - step.low_ns + 1)


class End:
    """Ends the scenario."""

    __slots__ = ()


class Jump:
    """Goes on elsewhere."""

    __slots__ = ("step", "to")

    def __init__(self, step: WorkerStep, to: int = -1) -> None:
        self.step, self.to = step, to

    def follow(self, walk: Walk) -> int:  # noqa: ARG002  (the same for all users)
        """Return the index of the next operation."""
        return self.to


class Branch(Jump):
    """Goes on here with some probability, else elsewhere."""

    __slots__ = ("_bound", "_key")

    def __init__(self, step: ProbabilityStep) -> None:
        super().__init__(step)
        self._key, self._bound = step.key, step.probability

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        return walk.at + 1 if _uniform(self._key, walk.position) < self._bound else self.to


class Choose(Jump):
    """Goes on at one of several places."""

    __slots__ = ("_bounds", "_key", "_total", "places")

    def __init__(self, step: ChooseStep) -> None:
        super().__init__(step)
        self._key = step.key
        *self._bounds, self._total = accumulate(step.weights)
        self.places: list[int] = []

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        return self.places[bisect_right(self._bounds, _uniform(self._key, walk.position) * self._total)]


class If(Jump):
    """Goes on here if conditions hold, else elsewhere."""

    __slots__ = ("_holds",)

    def __init__(self, step: IfStep) -> None:
        super().__init__(step)
        self._holds = all_hold(step.conditions)

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        return walk.at + 1 if self._holds(walk.values) else self.to


class Repeat(Jump):
    """Begins a loop."""

    __slots__ = ("_times",)

    def __init__(self, step: RepeatStep) -> None:
        super().__init__(step)
        self._times = step.times

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        walk.loops.append(self._times)
        return walk.at + 1


class Again(Jump):
    """Goes back to the beginning of a loop, unless it is over."""

    __slots__ = ("_until",)

    def __init__(self, step: RepeatStep, to: int) -> None:
        super().__init__(step, to)
        self._until: Holds | None = all_hold(step.until) if step.until else None

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        left = walk.loops.pop()
        assert isinstance(left, int)
        if left > 1 and not (self._until and self._until(walk.values)):
            walk.loops.append(left - 1)
            return self.to
        return walk.at + 1


class ForEach(Jump):
    """Begins a loop over a list."""

    __slots__ = ("_items",)

    def __init__(self, step: ForEachStep) -> None:
        super().__init__(step)
        self._items = step.items

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`; `to` is where the next entry is taken."""
        entries = walk.values.get(self._items, ())
        if not isinstance(entries, list | tuple):
            value = repr(entries)[:_SHOWN]
            reason = f"`{self._items}` is a single value, {value}, and no list that for_each can go through"
            raise CannotGoOn("extract_failed", reason)
        walk.loops.append(iter(entries[:MAX_VISITED]))
        return self.to


class Next(Jump):
    """Takes the next entry of a list, unless there is none."""

    __slots__ = ("_item",)

    def __init__(self, step: ForEachStep, to: int) -> None:
        super().__init__(step, to)
        self._item = step.item

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        entries = walk.loops[-1]
        assert not isinstance(entries, int)
        for entry in entries:
            walk.values[self._item] = entry
            return self.to
        walk.loops.pop()
        walk.values.pop(self._item, None)
        return walk.at + 1


Operation: TypeAlias = Send | Pause | End | Jump


def program(steps: Sequence[WorkerStep]) -> list[Operation]:
    """Return the operations of a scenario; the last one is the `End`."""
    operations: list[Operation] = []
    _add(operations, steps)
    operations.append(End())
    return operations


def _add(operations: list[Operation], steps: Sequence[WorkerStep]) -> None:
    for step in steps:
        match step:
            case RequestStep():
                operations.append(Send(step))
            case PauseStep():
                operations.append(Pause(step))
            case RepeatStep():
                operations.append(Repeat(step))
                begin = len(operations)
                _add(operations, step.steps)
                operations.append(Again(step, begin))
            case ProbabilityStep():
                operations.append(branch := Branch(step))
                _add(operations, step.steps)
                branch.to = len(operations)
            case ChooseStep():
                _add_choice(operations, step)
            case ForEachStep():
                operations.append(loop := ForEach(step))
                begin = len(operations)
                _add(operations, step.steps)
                loop.to = len(operations)
                operations.append(Next(step, begin))
            case IfStep():
                _add_if(operations, step)


def _add_choice(operations: list[Operation], step: ChooseStep) -> None:
    operations.append(choose := Choose(step))
    ends = []
    for branch in step.branches:
        choose.places.append(len(operations))
        _add(operations, branch)
        operations.append(end := Jump(step))
        ends.append(end)
    for end in ends:
        end.to = len(operations)


def _add_if(operations: list[Operation], step: IfStep) -> None:
    operations.append(condition := If(step))
    _add(operations, step.steps)
    if step.otherwise:
        operations.append(end := Jump(step))
        condition.to = len(operations)
        _add(operations, step.otherwise)
        end.to = len(operations)
    else:
        condition.to = len(operations)


def _uniform(key: int, position: int) -> float:
    """Return the random number at a position, from 0 to below 1."""
    return (draw(key, position) >> 64 - _BITS) * _SCALE
