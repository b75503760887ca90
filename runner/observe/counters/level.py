"""What one source of counters gives, and the errors it may raise instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Level:
    """One counter now.

    Attributes:
        value: In `unit`.
        unit: ``count``, ``s``, ``cores``, ``bytes`` or a thing that is counted.
        kind: ``counter`` is cumulative, ``gauge`` a level.
        limit: The bound it cannot pass, where there is one.
        peak: Of a gauge that knows itself how high it was since the last reading; else its value.
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
        """As of `runner.core.facts.Counter`."""

    @property
    def family(self) -> str:
        """What is named when it cannot be read, such as ``conntrack``."""

    @property
    def always(self) -> bool:
        """Whether it is read every second, and not at the window's ends alone."""

    def read(self) -> Levels:
        """The counters now, within a few milliseconds.

        Raises:
            OSError: The kernel, a container or a permission hides them.
            ValueError: They have another form than is known.
        """


def gauge(value: float, unit: str = "count", limit: float | None = None) -> Level:
    """A level that may rise and fall."""
    return Level(value, unit, "gauge", limit)
