"""The numbers of a trial that has ended, in records of a run in progress as in its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from runner.core.units import Milliseconds, PerSecond

_Name: TypeAlias = Annotated[str, Meta(max_length=1000)]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]

LatencyName: TypeAlias = Literal["response_time", "duration", "scenario_duration"]
NoValue: TypeAlias = Literal["lost", "range", "slices"]
"""Why a percentile has no number: it lies among requests that failed or were dropped, beyond what histograms
tell apart, or is shown for each slice of a ramp only."""


class P95(Struct, frozen=True, omit_defaults=True):
    """A 95th percentile of all that came due.

    Attributes:
        of: The latency.
        ms: None without a finite value, or where it was not measured.
        why_none: Why there is no finite value; None where it was not measured.
    """

    of: LatencyName = "response_time"
    ms: Milliseconds | None = None
    why_none: NoValue | None = None


class PartEnds(Struct, frozen=True, omit_defaults=True):
    """One request of a mix over the whole trial; fields as in `runner.core.live.TrialEnds`."""

    succeeded: _Count = 0
    failures: Mapping[_Name, _Count] = field(default_factory=dict)
    rps: PerSecond | None = None
    p95: P95 = P95()


class ScenariosEnd(Struct, frozen=True, omit_defaults=True):
    """The runs of all scenarios over the whole trial.

    Attributes:
        completed: Runs due in the window that came to their end.
        lost: Those that failed, were unfinished or never began.
        per_s: Runs completed in the window ÷ its seconds.
    """

    completed: _Count = 0
    lost: _Count = 0
    per_s: PerSecond | None = None
    p95: P95 = P95(of="scenario_duration")
