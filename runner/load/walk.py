"""Where a user is in its scenario, and how far it may go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from runner.load.scenario_order import MAX_EXECUTED, MAX_OPERATIONS

TOO_MANY_STEPS: Final = "too_many_steps"
_LIMIT: Final = ", which is the limit: repeat less, or let for_each go through shorter lists"


class CannotGoOn(ValueError):  # noqa: N818  (a fact about a response, not an error of ours)
    """A user cannot execute its next step; says why.

    Attributes:
        failure: The kind of failure.
    """

    def __init__(self, failure: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure


class Walk:
    """Where a user is in its scenario.

    Attributes:
        at: Index of its next operation.
        number: Number of the user in the configuration.
        executed: How many operations it has executed.
        steps: How many requests and pauses it has gone through.
        values: Name to extracted value.
        loops: What is left of the loops that it is in, the innermost one last.
    """

    __slots__ = ("at", "executed", "loops", "number", "steps", "values")

    def __init__(self, number: int) -> None:
        self.at = self.executed = self.steps = 0
        self.number = number
        self.values: dict[str, Any] = {}
        self.loops: list[int | Iterator[Any]] = []

    def count_step(self) -> None:
        """Count a request or a pause.

        Raises:
            CannotGoOn: It has gone through as many as a user may.
        """
        self.steps += 1
        if self.steps > MAX_EXECUTED:
            raise CannotGoOn(TOO_MANY_STEPS, f"the user has gone through {MAX_EXECUTED:,} steps{_LIMIT}")

    def check_operations(self) -> None:
        """Return if it has not executed too many operations.

        Raises:
            CannotGoOn: It has.
        """
        if self.executed > MAX_OPERATIONS:
            raise CannotGoOn(
                TOO_MANY_STEPS, f"the user has gone through {MAX_OPERATIONS:,} rounds of loops{_LIMIT}"
            )

    @property
    def position(self) -> int:
        """Where the random numbers of its current operation are."""
        return (self.number << 20) + (self.executed & 0xFFFFF)
