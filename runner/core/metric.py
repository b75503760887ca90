"""What a metric is: its names, its dimension, and how it is read from a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from runner.core.codes import Unbounded

if TYPE_CHECKING:
    from runner.core.measured import Measured


class Dimension(StrEnum):
    """What a metric is counted in; decides its unit, its format, and how a threshold's bound is read."""

    TIME = "time"
    SHARE = "share"
    SIZE = "size"
    CORES = "cores"
    RATE = "rate"
    SCENARIO_RATE = "scenario rate"
    COUNT = "count"

    @property
    def unit(self) -> str:
        """Of values in results.json; a share is a fraction of 1."""
        return _UNITS[self]


_UNITS: Final = {
    Dimension.TIME: "ms",
    Dimension.SHARE: "share",
    Dimension.SIZE: "MiB",
    Dimension.CORES: "cores",
    Dimension.RATE: "1/s",
    Dimension.SCENARIO_RATE: "1/s",
    Dimension.COUNT: "requests",
}


class Better(StrEnum):
    """Whether more or less of a metric is good."""

    MORE = "more"
    LESS = "less"


_PHRASES: Final = {
    "errors": "share of failed or dropped requests",
    "scenario_errors": "share of scenarios that did not complete",
}


class Metric(NamedTuple):
    """A number that a stage has, and often each request of a mix as well.

    Attributes:
        path: Its name in thresholds, such as ``duration.p95``.
        key: Its name in tables for programs, after its place in results.json, such as ``duration_ms.p95``.
        title: Its heading, without a unit.
        term: The word that `definition` explains; metrics of one kind share it.
        dimension: What it is counted in.
        better: Which direction is good.
        definition: A sentence for the glossary.
        read: Takes it from a stage or from a request; None where it was not measured or has no finite value.
        unbounded: Returns why it has no finite value there; None where it has one or was not measured.
        per_request: Whether it is measured of each request of a mix; CPU and memory are not.
        needs_schedule: Whether it exists in the open model only, where requests are due at certain times.
        scenarios_only: Whether only stages with scenarios have it, and only the whole and single scenarios.
        per_slice: Whether a threshold on it holds for a ramp only if it holds in each slice.
    """

    path: str
    key: str
    title: str
    term: str
    dimension: Dimension
    better: Better
    definition: str
    read: Callable[[Measured], float | None]
    unbounded: Callable[[Measured], Unbounded | None] = lambda _: None
    per_request: bool = True
    per_slice: bool = False
    needs_schedule: bool = False
    scenarios_only: bool = False

    def is_known_in(self, parts: Iterable[Measured]) -> bool:
        """Return whether one of some slices measured it; k6 reports no latency by slice."""
        return any(self.read(part) is not None or self.unbounded(part) for part in parts)

    @property
    def phrase(self) -> str:
        """What it is called within a sentence, such as ``p95 duration``."""
        if self.path in _PHRASES:
            return _PHRASES[self.path]
        return self.title.lower().replace("tls", "TLS").replace("avg", "average").replace("max", "maximum")


class LatencyKind(NamedTuple):
    """A stretch of time that is measured of each request.

    Attributes:
        name: Its name in thresholds.
        title: Its heading.
        definition: From when to when.
    """

    name: str
    title: str
    definition: str

    @property
    def field(self) -> str:
        """Its field in a stage."""
        return f"{self.name}_ms"
