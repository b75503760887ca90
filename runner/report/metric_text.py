"""Headings and values of metrics, and the glossary, generated from the registry of metrics."""

from __future__ import annotations

import math
from typing import Final

from msgspec import UNSET

from runner.core.codes import Role, Unbounded
from runner.core.judgements import ThresholdResult
from runner.core.metric import Dimension, Metric
from runner.core.metrics import KEY_METRICS, LATENCIES, METRICS, lost_share, metric_of
from runner.core.ramp import Ramp
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.number_format import FORMATS, NOT_MEASURED, listed

_HEADING_UNITS: Final = {Dimension.TIME: " (ms)", Dimension.CORES: " (cores)", Dimension.SIZE: " (MiB)"}
_IN_SLICES: Final = "see its slices"
SLICE_LATENCIES: Final = ("duration.p50", "duration.p95", "duration.p99", "response_time.p95")
"""In the table of the slices of a ramp."""
SLICE_DURATIONS: Final = ("scenario_duration.p50", "scenario_duration.p95")
"""Likewise, with scenarios."""
_SLICES_OF_PART: Final = "duration.p95"
"""The only one in the slices of a single request."""
_NO_VALUE: Final = "no value"
_ALL: Final = 1.0005
"""A share that is written as more than 100 %."""
_BEYOND_DUE: Final = " (throughput ÷ target)"
"""Why it is: results of Loadproof 0.1.0 count responses to requests that were due before the window."""
_OF_ONE_HOST: Final = ("cpu_cores.system.", "cpu_cores.other.")
_MOST_DECIMALS: Final = 9
_TIMEOUTS: Final = ("timeout", "connect_timeout")
_VALUE_UNITS: Final = {
    Dimension.TIME: " ms",
    Dimension.CORES: " cores",
    Dimension.SIZE: " MiB",
    Dimension.RATE: " RPS",
    Dimension.SCENARIO_RATE: " scenarios/s",
}


def role_name(role: str) -> str:
    """Return what people call a role; the key of docker-proxy in files is ``forwarder``."""
    return "docker-proxy" if role == Role.FORWARDER else role


def heading(metric: Metric) -> str:
    """Return the title of a metric with the unit that its values are written without."""
    return f"{metric.title}{_HEADING_UNITS.get(metric.dimension, '')}"


def figure(metric: Metric, value: float | None) -> str:
    """Return a value as it stands below `heading`."""
    return FORMATS[metric.dimension](value)


def cell(metric: Metric, stage: Stage) -> str:
    """Return the value in a stage as it stands below `heading`, or why it has no finite one.

    A latency of a ramp has a value in each of its slices only: one over all levels would say little.
    """
    if not applies(metric, stage):
        return number_format.NOT_APPLICABLE
    if is_in_slices(metric, stage):
        return _slices_word(metric, stage)
    value, why = metric.read(stage), metric.unbounded(stage)
    if metric.path == "achieved":
        return achieved(value)
    return figure(metric, value) if why is None or value is not None else unbounded(stage, why, metric)


def achieved(value: float | None) -> str:
    """Return the share of its target that a stage achieved; of more than all, also how that was counted."""
    return f"{number_format.share(value)}{_BEYOND_DUE if (value or 0.0) > _ALL else ''}"


def is_in_slices(metric: Metric, stage: Stage) -> bool:
    """Return whether a metric of a ramp is shown in its slices only."""
    return metric.dimension is Dimension.TIME and metric.is_known_in(stage.slices)


def _slices_word(metric: Metric, stage: Stage) -> str:
    """Return where a latency of a ramp is shown; that of a single request has fewer columns there."""
    is_part = not stage.parts and not stage.timeseries  # of which only the whole stage has some
    shown = (_SLICES_OF_PART,) if is_part and not stage.scenarios else (*SLICE_LATENCIES, *SLICE_DURATIONS)
    return _IN_SLICES if metric.path in shown else number_format.NOT_APPLICABLE


def brief_cell(metric: Metric, stage: Stage) -> str:
    """Return the value as `cell` does, in a table that shows beside it what failed."""
    if not applies(metric, stage):
        return number_format.NOT_APPLICABLE
    if is_in_slices(metric, stage):
        return _slices_word(metric, stage)
    value, why = metric.read(stage), metric.unbounded(stage)
    return figure(metric, value) if why is None or value is not None else _lower_bound(stage, why, metric)


def applies(metric: Metric, stage: Stage) -> bool:
    """Return whether a metric exists there.

    Users wait for no schedule, a single step has no runs, and several machines have no host's CPU.
    """
    if metric.scenarios_only:
        return stage.scenarios is not None
    if stage.nodes and metric.key.startswith(_OF_ONE_HOST) and metric.read(stage) is None:
        return False
    is_step = metric.path == "achieved" and stage.users_per_s is not None and stage.scenarios is None
    return not is_step and not (metric.needs_schedule and stage.users is not None)


def unbounded(stage: Stage, why: Unbounded, metric: Metric | None = None) -> str:
    """Return what a statistic without a finite value shows: ``> 1 s: 10 % failed``."""
    value = _lower_bound(stage, why, metric)
    return value if why is Unbounded.OUT_OF_RANGE else f"{value}: {_lost(stage, metric)}"


def _lost(stage: Stage, metric: Metric | None) -> str:
    """Return what share was lost, and how: ``10 % failed``."""
    if metric and metric.scenarios_only and (runs := stage.scenarios):
        kinds = [kind for kind in ("failed", "unfinished", "dropped") if getattr(runs, kind)]
        share = runs.lost / runs.scheduled if runs.scheduled else None
        return f"{number_format.share(share)} {listed(kinds, 'or')}"
    what = listed([word for word in ("failed", "dropped") if getattr(stage.requests, word)], "or")
    return f"{number_format.share(lost_share(stage))} {what}"


def passed_with(threshold: ThresholdResult, stage: Stage) -> str:
    """Return how far a value is beyond a bound, as the end of a sentence: ``, with 56 ms``."""
    if threshold.unbounded is Unbounded.LOST:
        of = _subject(threshold, stage)
        metric = metric_of(threshold.expr)
        if _lower_bound(of, threshold.unbounded, metric) == _NO_VALUE:
            return f", because {_lost(of, metric)}"
    return f", {'but' if '==' in threshold.expr else 'with'} {value_of(threshold, stage)}"


def _lower_bound(stage: Stage, why: Unbounded, metric: Metric | None) -> str:
    """Return what a statistic without a finite value exceeds: the timeout, if all lost requests hit it."""
    if why is Unbounded.OUT_OF_RANGE:
        return "> 1 h"
    if metric and metric.scenarios_only:
        return _NO_VALUE
    timeouts = sum(stage.requests.failures.get(kind, 0) for kind in _TIMEOUTS)
    only_timeouts = timeouts == stage.requests.lost and stage.timeout_s
    return f"> {number_format.seconds(stage.timeout_s)}" if only_timeouts else _NO_VALUE


def with_unit(metric: Metric, stage: Stage) -> str:
    """Return the value in a stage as it stands alone."""
    value, text = metric.read(stage), cell(metric, stage)
    if value is None or is_in_slices(metric, stage) or metric.dimension is Dimension.SCENARIO_RATE:
        return text  # the title of a rate of scenarios has its unit
    return f"{text}{_VALUE_UNITS.get(metric.dimension, '')}"


def threshold_value(threshold: ThresholdResult, stage: Stage) -> str:
    """Return what was measured for a threshold, in its metric's unit; on a ramp, also at which level.

    Of one that fails whatever was measured, also why.
    """
    value = value_of(threshold, stage)
    if threshold.level is not UNSET:
        value = f"{value} at {level(stage, threshold.level)}"
    return value if threshold.why is UNSET else f"{value}; {threshold.why}"


def value_of(threshold: ThresholdResult, stage: Stage) -> str:
    """Return what was measured for a threshold, in its metric's unit."""
    metric = metric_of(threshold.expr)
    if threshold.unbounded:
        return unbounded(_subject(threshold, stage), threshold.unbounded, metric)
    if metric is None or threshold.value is None:
        return plain(threshold.value)
    shown = figure(metric, threshold.value) if threshold.ok else _apart(metric, threshold)
    return f"{shown}{_VALUE_UNITS.get(metric.dimension, '')}"


def _apart(metric: Metric, threshold: ThresholdResult) -> str:
    """Return the value of a failed threshold with enough digits to differ from the bound."""
    value = threshold.value or 0.0
    limit = written_bound(threshold.expr) if threshold.bound is UNSET else threshold.bound
    shown = figure(metric, value)
    if limit is None or value == limit or shown != figure(metric, limit):
        return shown
    scale, unit = (100, " %") if metric.dimension is Dimension.SHARE else (1, "")
    for decimals in range(1, _MOST_DECIMALS + 1):
        digits = f"{value * scale:,.{decimals}f}"
        if digits != f"{limit * scale:,.{decimals}f}" and len(digits) >= len(shown.removesuffix(unit)):
            return f"{digits}{unit}"
    return shown


def written_bound(expr: str) -> float | None:
    """Return the bound of an expression in the metric's unit; None for one that cannot be read."""
    from runner.experiment.thresholds import parse_threshold  # noqa: PLC0415  (few reports need it)

    try:
        return float(str(parse_threshold(expr)["bound"]))
    except ValueError:
        return None


def bound(threshold: ThresholdResult) -> str:
    """Return the bound of a threshold on a ramp with its unit; without one, the expression."""
    metric = metric_of(threshold.expr)
    if metric is None or threshold.bound is UNSET:
        return threshold.expr
    value = f"{threshold.bound:,g}" if metric.dimension is Dimension.TIME else figure(metric, threshold.bound)
    return f"{value}{_VALUE_UNITS.get(metric.dimension, '')}"


def _subject(threshold: ThresholdResult, stage: Stage) -> Stage:
    """Return what a threshold is about: the stage, one request of it, or a slice of either."""
    whole = stage.part(threshold.request) if threshold.request in stage.parts else stage
    places = [at for at, part in enumerate(whole.slices) if round(part.level.mean, 6) == threshold.level]
    return whole.slice(places[0]) if places else whole


def level(stage: Stage, value: float) -> str:
    """Return a value as a stage counts its level: ``740 RPS``, ``50 users``, ``20 users/s``."""
    unit = level_unit(stage)
    return f"{_level_figure(stage, value)} {unit.replace('users', 'user') if value == 1 else unit}"


def _level_figure(stage: Stage, value: float) -> str:
    if stage.users is not None and value != int(value):  # the middle of a slice of a ramp
        return f"{math.floor(value):,} to {math.ceil(value):,}"
    return number_format.rate(value)


def level_unit(stage: Stage) -> str:
    """Return the unit of a stage's level."""
    return "users/s" if stage.users_per_s is not None else "RPS" if stage.users is None else "users"


def level_heading(stage: Stage) -> str:
    """Return the heading of a stage's level."""
    return {"users/s": "Users/s", "RPS": "Target RPS", "users": "Users"}[level_unit(stage)]


def levels(stage: Stage) -> str:
    """Return what a stage offered: ``740 RPS``, ``10 to 500 RPS``, ``50 users``."""
    if ramp := stage.level_ramp:
        return f"{number_format.rate(ramp.begin)} to {level(stage, ramp.to)}"
    return level(stage, _steady_level(stage))


def level_figures(stage: Stage) -> str:
    """Return what a stage offered without the unit: ``740``, ``10 to 500``."""
    if ramp := stage.level_ramp:
        return f"{number_format.rate(ramp.begin)} to {_level_figure(stage, ramp.to)}"
    return _level_figure(stage, _steady_level(stage))


def _steady_level(stage: Stage) -> float:
    """Return the level of a stage without a ramp."""
    if stage.mean_users_per_s is not None:
        return stage.mean_users_per_s
    return stage.rate if stage.users is None else mean_users(stage)


def mean_users(stage: Stage) -> float:
    """Return the number of users of the closed model; of a ramp, the average; 0 in the open model."""
    return stage.users.mean if isinstance(stage.users, Ramp) else float(stage.users or 0)


def key_heading(name: str) -> str:
    """Return the heading of a metric of repeats, comparisons and histories; an unknown name is its own."""
    metric = KEY_METRICS.get(name)
    return heading(metric) if metric else name


def key_figure(name: str, value: float | None) -> str:
    """Return a value of such a metric."""
    metric = KEY_METRICS.get(name)
    return figure(metric, value) if metric else plain(value)


def key_is_share(name: str) -> bool:
    """Return whether such a metric is a share, so that its changes are percentage points."""
    metric = KEY_METRICS.get(name)
    return metric is not None and metric.dimension is Dimension.SHARE


def latency_title(name: str) -> str:
    """Return the title of a latency by its name; an unknown name is its own."""
    return next((kind.title for kind in LATENCIES if kind.name == name), name.replace("_", " "))


def glossary(*, scenarios: bool) -> dict[str, str]:
    """Return the definition of every term that metrics are explained by, those of scenarios if asked for."""
    shown = (metric for metric in METRICS.values() if scenarios or not metric.scenarios_only)
    return {metric.term: metric.definition for metric in shown}


def plain(value: float | None) -> str:
    """Return a number of an unknown dimension."""
    return NOT_MEASURED if value is None else f"{value:,g}"


def no_connects(stage: Stage) -> str:
    """Return why no connection of the measured window has a time to connect; empty if there are some."""
    if stage.connect_ms.p50 is not None or not stage.requests.succeeded:
        return ""
    return "opened in the warm-up" if stage.connections and stage.connections.opened else "none opened"
