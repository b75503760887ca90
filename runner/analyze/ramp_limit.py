"""The part of a ramp in which the service was at its limit, with the CPU that was used in it.

A ramp that leads to a limit stays below it at first. Averages over the whole window hide what was exhausted
at the end, so verdicts of ramps rest on the CPU of this part. Counters of the kernel are read at the ends of
the window only and cover all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Final, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from runner.core.limits import ACHIEVED, TOLERATED_ERRORS
from runner.core.measured import Slice
from runner.core.metrics import lost_share
from runner.core.observed_facts import ObservedFacts, Sample
from runner.core.ramp import Ramp
from runner.core.stage_results import Stage
from runner.core.units import Seconds

_BEHIND: Final = 0.95
"""Share of the requests due in a slice that must end in it; response times shift some into the next one."""
_SHORTEST_S: Final[Seconds] = 2.0
"""A shorter part has too few readings of the CPU."""


class LimitedPart(NamedTuple):
    """A part of a ramp in which the service was at its limit."""

    begin_s: Seconds
    end_s: Seconds
    level: Ramp

    @property
    def is_observed(self) -> bool:
        """Whether it is long enough for readings of its own."""
        return self.end_s - self.begin_s >= _SHORTEST_S

    def of(self, observed: ObservedFacts) -> ObservedFacts:
        """Return what was observed in this part, as if it were the whole window."""
        samples = [sample for sample in observed.samples if sample.t_s < self.end_s + _SHORTEST_S / 2]
        nodes = {name: self.of(node) for name, node in observed.nodes.items()}
        return replace(observed, samples=tuple(map(self._moved, samples)), nodes=nodes)

    def _moved(self, sample: Sample) -> Sample:
        read_s = {name: t_s - self.begin_s for name, t_s in sample.read_s.items()}
        return replace(sample, t_s=sample.t_s - self.begin_s, read_s=read_s)


def limited_part(stage: Stage) -> LimitedPart | None:
    """Return the longest part in which a ramp of a rate was at its limit; None for others, or without any.

    A slice is at the limit if requests were lost in it, if the ramp had passed a threshold, or if fewer
    requests ended than were due although the ramp was not sustained as a whole.
    """
    if stage.rate_ramp is None:
        return None
    runs = [[*run] for limited, run in groupby(stage.slices, _is_at_limit(stage)) if limited]
    if not runs:
        return None
    longest = max(runs, key=lambda run: run[-1].end_s - run[0].begin_s)
    first, last = longest[0], longest[-1]
    return LimitedPart(first.begin_s, last.end_s, Ramp(first.level.begin, last.level.to))


def _is_at_limit(stage: Stage) -> Callable[[Slice], bool]:
    passed = [result.level for result in stage.thresholds if result.level is not UNSET]
    lowest = min(passed, default=float("inf"))
    sustained = stage.achieved is not None and stage.achieved >= ACHIEVED

    def is_at_limit(part: Slice) -> bool:
        length_s = part.end_s - part.begin_s
        behind = part.actual_rps is not None and part.actual_rps * length_s < _BEHIND * part.due - 1
        lost = (lost_share(part) or 0.0) >= TOLERATED_ERRORS
        return lost or part.level.mean >= lowest or (behind and not sustained)

    return is_at_limit
