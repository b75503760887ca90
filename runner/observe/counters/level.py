"""Counters at one instant, and the interface of what reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Level:
    """One counter now.

    Attributes:
        value: In `unit`.
        unit: ``count``, ``s``, ``cores``, ``bytes`` or a thing that is counted.
        kind: ``counter`` is cumulative, ``gauge`` a level.
        limit: Its upper bound, where there is one.
        peak: Of a gauge that knows its maximum since the last reading; else None.
    """

    value: float
    unit: str = "count"
    kind: Literal["counter", "gauge"] = "counter"
    limit: float | None = None
    peak: float | None = None


Levels: TypeAlias = Mapping[str, Level | None]
"""Name to level; None for what this kernel does not count, which is not zero."""


class Source(Protocol):
    """Reads one family of counters."""

    @property
    def scope(self) -> str:
        """As of `runner.core.observed_facts.Counter`."""

    @property
    def family(self) -> str:
        """Its name in messages if it cannot be read, such as ``conntrack``."""

    @property
    def every_second(self) -> bool:
        """Whether it is read every second, and not only at the window's ends."""

    def read(self) -> Levels:
        """Return the counters now, within a few milliseconds.

        Raises:
            OSError: The kernel, a container or a permission hides them.
            ValueError: Their format is unknown.
        """


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A source without state: a function that reads the counters."""

    scope: str
    family: str
    read: Callable[[], Levels]
    every_second: bool = True


def gauge(value: float, unit: str = "count", limit: float | None = None) -> Level:
    """Return a level that may rise and fall."""
    return Level(value, unit, "gauge", limit)
