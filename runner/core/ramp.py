"""A level of traffic that changes linearly over the measured window."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Ramp(Struct, frozen=True, rename={"begin": "from"}):
    """A linear change of the rate, or of the number of users, over the measured window.

    Attributes:
        begin: The level at the window's start, and in the warm-up; ``from`` in files.
        to: The level at its end.
    """

    begin: Annotated[float, Meta(ge=0, le=1e15)]
    to: Annotated[float, Meta(ge=0, le=1e15)]

    @property
    def mean(self) -> float:
        """The average level over the window."""
        return (self.begin + self.to) / 2

    @property
    def highest(self) -> float:
        """The highest level."""
        return max(self.begin, self.to)

    def at(self, share: float) -> float:
        """Return the level after a share of the window's time, 0 to 1."""
        return self.begin + (self.to - self.begin) * share

    def due_before(self, share: float) -> float:
        """Return the share of the window's requests that is due in a first share of its time, 0 to 1."""
        return share * (self.begin + self.at(share)) / 2 / self.mean if self.mean else share
