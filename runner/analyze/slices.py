"""The slices of a ramp: what was measured at each level, since one percentile over all levels says little."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from runner.analyze.latency import latency
from runner.analyze.measured import requests_of
from runner.analyze.resource_usage import cores_between
from runner.analyze.runs import run_fields
from runner.core.codes import RoleName
from runner.core.load_facts import LoadFacts
from runner.core.measured import NO_LATENCY, Scenarios, Slice
from runner.core.metrics import LATENCIES
from runner.core.observed_facts import ObservedFacts, Sample
from runner.core.ramp import Ramp
from runner.core.units import Seconds

_FEWEST: Final = 10
_MOST: Final = 20
_LENGTH_S: Final = 5


def slices(
    load: LoadFacts | None, ramp: Ramp | None, window_s: Seconds, runs: LoadFacts | None = None
) -> tuple[Slice, ...]:
    """Return what was measured in each slice of a ramp, in order of time; nothing for a constant level.

    Args:
        load: Of the stage, or of a part of it.
        ramp: How the level changed over the window.
        window_s: Length of the window.
        runs: Of scenarios: their runs as facts of a load.
    """
    if load is None or ramp is None:
        return ()
    ends = bounds(window_s)
    last = len(ends) - 1
    begins = [0.0, *ends[:-1]]
    return tuple(
        _slice(load, ramp, window_s, begin, math.inf if at == last else end, runs)
        for at, (begin, end) in enumerate(zip(begins, ends, strict=True))
    )


def with_cpu(made: Sequence[Slice], observed: ObservedFacts) -> tuple[Slice, ...]:
    """Return slices with the CPU cores that every observed role used in each."""
    subjects: dict[RoleName, list[str]] = {}
    for subject in observed.subjects:
        subjects.setdefault(subject.role, []).append(subject.name)
    return tuple(replace(part, cpu_cores=_cores(part, subjects, observed.samples)) for part in made)


def _cores(
    part: Slice, subjects: Mapping[RoleName, Sequence[str]], samples: Sequence[Sample]
) -> dict[str, float]:
    used = {role: cores_between(samples, names, part.begin_s, part.end_s) for role, names in subjects.items()}
    return {str(role): round(cores, 4) for role, cores in used.items() if cores is not None}


def bounds(window_s: Seconds) -> list[Seconds]:
    """Return the end of each slice of a window, in seconds after its start.

    There are ten slices, or one per 5 s if that is more, up to twenty; none is shorter than a second. They
    consist of whole seconds, as facts do; a rest of less than a second belongs to the last one.
    """
    whole = max(1, math.floor(window_s))
    count = min(max(_FEWEST, whole // _LENGTH_S), _MOST, whole)
    return [*(float(round(place * whole / count)) for place in range(1, count)), float(window_s)]


def _slice(
    load: LoadFacts, ramp: Ramp, window_s: Seconds, begin_s: Seconds, until_s: Seconds, runs: LoadFacts | None
) -> Slice:
    """Return one slice; `until_s` is infinite for the last one, which has what ended after the window."""
    end_s = min(until_s, window_s)
    seconds = tuple(second for second in load.seconds if begin_s <= second.index < until_s)
    part = replace(load, seconds=seconds)
    # k6 states its latencies for the whole window only
    stated = load.stated_ms is not None
    latencies = {kind.field: NO_LATENCY if stated else latency(part, kind.name) for kind in LATENCIES}
    completed = sum(second.completed for second in seconds if second.index < window_s)
    requests = requests_of(seconds)
    ended = requests.succeeded + requests.lost
    return Slice(
        begin_s=begin_s,
        end_s=end_s,
        level=Ramp(round(ramp.at(begin_s / window_s), 6), round(ramp.at(end_s / window_s), 6)),
        due=requests.scheduled,
        requests=replace(requests, scheduled=ended, sent=ended - requests.dropped),
        actual_rps=round(completed / (end_s - begin_s), 4),
        **(_runs(runs, begin_s, end_s, until_s) if runs else {}),
        # the same object where nothing was measured: results leave it out
        **{field: value if value != NO_LATENCY else NO_LATENCY for field, value in latencies.items()},  # type: ignore[arg-type]
    )


def _runs(runs: LoadFacts, begin_s: Seconds, end_s: Seconds, until_s: Seconds) -> dict[str, Any]:
    """Return the fields about the runs of scenarios that ended in a slice."""
    seconds = tuple(second for second in runs.seconds if begin_s <= second.index < until_s)
    fields = run_fields(replace(runs, seconds=seconds), end_s - begin_s, begin_s)
    counts: Scenarios = fields["scenarios"]
    ended = counts.completed + counts.lost
    own = replace(counts, scheduled=ended, started=ended - counts.dropped)
    return fields | {"scenarios": own}
