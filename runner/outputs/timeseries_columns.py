"""The columns of the table of seconds, with their units and definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from runner.analyze.latency import percentiles_of_all
from runner.core.histogram import Histogram
from runner.core.load_facts import FAILURE_KINDS, UNFINISHED, LoadSecond
from runner.core.metric import LatencyKind
from runner.core.metrics import LATENCIES, SCENARIO_DURATION
from runner.outputs.column import Cell, Column, Kind
from runner.outputs.place import PLACE_COLUMNS, Part
from runner.outputs.timeseries import Moment

_PERCENTILES: Final = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_STATISTICS: Final = (*_PERCENTILES, "max")
_OF_SUCCESSES: Final = frozenset({"duration", "response_time", "first_byte", SCENARIO_DURATION.name})
"""Latencies that only a success has: their percentiles count the others as infinitely slow."""
_WHAT: Final = "requests (of a scenario: runs)"


def _loaded(read: Callable[[LoadSecond], Cell]) -> Callable[[Moment], Cell]:
    """Return what reads the load of a row; None where it has none."""
    return lambda row: None if row.load is None else read(row.load)


def _failures(kind: str) -> Column[Moment]:
    why = "were under way when the stage ended" if kind == UNFINISHED else f"failed as `{kind}`"
    return Column(
        f"failed_{kind}",
        Kind.COUNT,
        "",
        f"Those that {why}",
        _loaded(lambda load: load.failures.get(kind, 0)),
    )


def _latencies() -> list[Column[Moment]]:
    return [
        _latency(kind, statistic) for kind in (*LATENCIES, SCENARIO_DURATION) for statistic in _STATISTICS
    ]


def _latency(kind: LatencyKind, statistic: str) -> Column[Moment]:
    words = "Highest" if statistic == "max" else f"{statistic[1:]}th percentile"
    return Column(
        f"{kind.name}_{statistic}_ms",
        Kind.NUMBER,
        "ms",
        f"{words} of `{kind.name}` in the second",
        lambda row: _value(row, kind, statistic),
    )


def _value(row: Moment, kind: LatencyKind, statistic: str) -> float | None:
    """Return a statistic of a latency; only the runs of scenarios have a duration of a scenario."""
    of_runs = row.part is Part.SCENARIO
    applies = kind.name == "dispatch_delay" or of_runs == (kind is SCENARIO_DURATION)
    if row.load is None or not applies:
        return None
    values: Histogram = row.load.response_time if kind is SCENARIO_DURATION else getattr(row.load, kind.name)
    if statistic == "max":
        return values.max_ms
    if not values:
        return None
    lost = sum(row.load.failures.values()) + row.load.dropped if kind.name in _OF_SUCCESSES else 0
    ms = percentiles_of_all(values, lost, [_PERCENTILES[statistic]])[0]
    return None if math.isinf(ms) else ms


TIMESERIES_COLUMNS: Final[tuple[Column[Moment], ...]] = (
    *PLACE_COLUMNS,
    Column(
        "node",
        Kind.TEXT,
        "",
        "Of a role: the machine that was observed; empty for the runner's own, and for parts of the load",
        lambda row: row.used.node if row.used else "",
    ),
    Column(
        "started_at",
        Kind.TEXT,
        "UTC",
        "When the trial began, in whole seconds",
        lambda row: row.place.trial.started_at,
    ),
    Column(
        "phase",
        Kind.TEXT,
        "",
        "`warm-up`, `window` (measured) or `drain` (late responses)",
        lambda row: row.phase,
    ),
    Column(
        "t_s",
        Kind.COUNT,
        "s",
        "End of the second, from the start of the measured window; not above 0 in the warm-up",
        lambda row: row.index + 1,
    ),
    Column("target_rps", Kind.NUMBER, "1/s", "Requests offered", lambda row: row.target_rps),
    Column(
        "target_users_per_s",
        Kind.NUMBER,
        "1/s",
        "Users that start a scenario",
        lambda row: row.target_users_per_s,
    ),
    Column("target_users", Kind.NUMBER, "", "Users of the closed model", lambda row: row.target_users),
    Column(
        "completed",
        Kind.COUNT,
        "",
        "Successful responses that arrived, those of the warm-up included; of a scenario: runs completed",
        _loaded(lambda load: load.completed),
    ),
    Column(
        "scheduled",
        Kind.COUNT,
        "",
        f"Due {_WHAT}; these and the counts below only for what was due in the measured window",
        _loaded(lambda load: load.scheduled),
    ),
    Column("sent", Kind.COUNT, "", "Those that were taken up", _loaded(lambda load: load.sent)),
    Column(
        "succeeded", Kind.COUNT, "", "Those that passed every check", _loaded(lambda load: load.succeeded)
    ),
    Column(
        "failed",
        Kind.COUNT,
        "",
        "Those that did not: the sum of the kinds below",
        _loaded(lambda load: sum(load.failures.values())),
    ),
    Column("dropped", Kind.COUNT, "", "Those that were never sent", _loaded(lambda load: load.dropped)),
    *(_failures(kind) for kind in (*FAILURE_KINDS, UNFINISHED)),
    Column(
        "in_flight",
        Kind.COUNT,
        "",
        "Requests (of a scenario: users) under way at the end of the second",
        _loaded(lambda load: load.in_flight),
    ),
    *_latencies(),
    Column(
        "cpu_cores",
        Kind.NUMBER,
        "cores",
        "Of a role: CPU seconds used ÷ seconds",
        lambda row: row.used.cores if row.used else None,
    ),
    Column(
        "memory_bytes",
        Kind.COUNT,
        "bytes",
        "Of a role: resident memory at the end of the second",
        lambda row: row.used.rss_bytes if row.used else None,
    ),
)
"""One row for each second of a part of a trial."""
