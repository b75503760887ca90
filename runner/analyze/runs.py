"""Runs of scenarios as facts of a load, and what was measured of them: each run counts like a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from msgspec.structs import replace

from runner.analyze.latency import latency
from runner.core.load_facts import UNFINISHED, LoadFacts, LoadSecond
from runner.core.measured import Scenarios
from runner.core.units import Seconds


def runs_of(load: LoadFacts, name: str) -> LoadFacts:
    """Return the runs of a scenario as facts of a load."""
    own = load.scenarios[name]
    seconds = tuple(second.scenarios.get(name, LoadSecond(second.index)) for second in load.seconds)
    return only(load, own.planned, seconds, backlog=own.backlog)


def all_runs(load: LoadFacts | None) -> LoadFacts | None:
    """Return the runs of all scenarios as facts of a load, whose seconds have no order; None without any."""
    if load is None or not load.scenarios:
        return None
    runs = [runs_of(load, name) for name in load.scenarios]
    seconds = tuple(chain.from_iterable(own.seconds for own in runs))
    return only(load, sum(own.planned for own in runs), seconds)


def only(load: LoadFacts, planned: int, seconds: tuple[LoadSecond, ...], **changes: Any) -> LoadFacts:
    """Return facts with these seconds, without what is known of the whole load."""
    cleared: dict[str, Any] = {"stated_ms": None, "backlog": None, "parts": {}, "scenarios": {}}
    return replace(load, planned=planned, seconds=seconds, **(cleared | changes))


def run_fields(runs: LoadFacts, length_s: Seconds, begin_s: Seconds = 0.0) -> dict[str, Any]:
    """Return the fields of `Measured` that are about runs, but for `achieved`.

    Args:
        runs: Facts in units of runs.
        length_s: Length of the window, or of the slice of it.
        begin_s: When it begins, after the start of the window.
    """
    inside = (second for second in runs.seconds if begin_s <= second.index < begin_s + length_s)
    return {
        "scenarios": scenarios_of(runs.seconds),
        "scenarios_per_s": round(sum(second.completed for second in inside) / length_s, 4),
        "scenario_duration_ms": latency(runs, "response_time"),
    }


def scenarios_of(seconds: Sequence[LoadSecond]) -> Scenarios:
    """Return the sums of some seconds' counts."""
    failures: Counter[str] = Counter()
    for second in seconds:
        failures.update(second.failures)
    unfinished = failures.pop(UNFINISHED, 0)
    return Scenarios(
        scheduled=sum(second.scheduled for second in seconds),
        started=sum(second.sent for second in seconds),
        completed=sum(second.succeeded for second in seconds),
        failed=failures.total(),
        unfinished=unfinished,
        dropped=sum(second.dropped for second in seconds),
        failures=dict(sorted(failures.items())),
    )
