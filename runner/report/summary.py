"""The few numbers of every stage that belong on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.analyze.medians import of_medians
from runner.core.codes import StageStatus, Unbounded, Validity
from runner.core.metrics import METRICS
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import metric_text
from runner.report.capacity import shown
from runner.report.doubts import short_reasons
from runner.report.metric_text import threshold_value
from runner.report.number_format import NOT_APPLICABLE, listed, plural
from runner.report.sparkline import rate_sparkline

TEXT_COLUMNS: Final = frozenset({"configuration", "stage", "rate over time", "verdict"})
"""Columns that hold no numbers."""
_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class FailedThreshold:
    """A threshold that a stage did not pass, with the measured value and its unit."""

    configuration: str
    stage: str
    expr: str
    measured: str


def broken_thresholds(results: Results) -> list[FailedThreshold]:
    """Return every threshold that failed, in the order of the stages."""
    return [
        FailedThreshold(configuration.name, stage.title, threshold.expr, threshold_value(threshold, stage))
        for configuration in map(of_medians, results.configurations)
        for stage in configuration.stages
        for threshold in stage.thresholds
        if not threshold.ok
    ]


def summary_rows(results: Results) -> list[dict[str, str]]:
    """Return one row for each stage, the median of its repeats; of a search only the probes that decide it.

    All rows have the same keys, which are the headings.
    """
    configurations = results.configurations
    scenarios = any(stage.scenarios for one in configurations for stage in one.stages)
    return [
        ({"configuration": configuration.name} if len(configurations) > 1 else {})
        | _row(stage, scenarios=scenarios)
        for configuration in configurations
        for stage in shown(of_medians(configuration)).stages
    ]


def limit_or_status(stage: Stage) -> str:
    """Return the code of the stage's verdict, with its node; a stage that was not run has none."""
    return "not run" if stage.status is StageStatus.NOT_RUN else stage.verdict.name


def doubts(results: Results) -> Iterator[str]:
    """Yield why stages of the rows are suspect or invalid, a line for the most frequent reasons.

    Reasons that differ in nothing but the programs outside the experiment are one.
    """
    where: dict[str, list[str]] = {}
    for configuration in map(of_medians, results.configurations):
        several = f" of {configuration.name}" if len(results.configurations) > 1 else ""
        for stage in shown(configuration).stages:
            for doubt in short_reasons(stage):
                where.setdefault(f"{doubt.status}: {doubt.text}", []).append(f"{stage.title}{several}")
    ranked = sorted(where.items(), key=lambda item: -len(item[1]))
    for reason, stages in ranked[:_NAMED]:
        named = stages if len(stages) <= _NAMED else [*stages[:_NAMED], f"{len(stages) - _NAMED} more"]
        yield f"{listed(named)} {'is' if len(stages) == 1 else 'are'} {reason}."
    if (more := len(where) - _NAMED) > 0:
        yield f"{plural(more, 'more reason')} for doubt {'is' if more == 1 else 'are'} in the report."


def _row(stage: Stage, *, scenarios: bool) -> dict[str, str]:
    return {
        "stage": stage.title,
        **(_runs(stage) if scenarios else {}),
        "actual RPS": _short("actual_rps", stage),
        "achieved": _short("achieved", stage),
        "rate over time": rate_sparkline(stage),
        "duration p95 ms": _short("duration.p95", stage),
        "app cores": _short("cpu.app.avg", stage),
        "requests lost": f"{stage.requests.lost:,}",
        "verdict": _verdict(stage),
    }


def _runs(stage: Stage) -> dict[str, str]:
    return {
        "scenarios/s": _short("scenarios_per_s", stage),
        "scenario p95 ms": _short("scenario_duration.p95", stage),
        "users lost": f"{stage.scenarios.lost:,}" if stage.scenarios else NOT_APPLICABLE,
    }


def _short(path: str, stage: Stage) -> str:
    metric = METRICS[path]
    if metric.per_slice and metric.is_known_in(stage.slices):
        ends = (_short(path, stage.slice(0)), _short(path, stage.slice(len(stage.slices) - 1)))
        return " … ".join(ends)
    if metric.unbounded(stage) is Unbounded.LOST:
        return "failed"
    return metric_text.cell(metric, stage) if metric.read(stage) is not None else NOT_APPLICABLE


def _verdict(stage: Stage) -> str:
    limit, validity = limit_or_status(stage), stage.validity.status
    if stage.status is StageStatus.NOT_RUN or validity is Validity.VALID:
        return limit
    return f"{limit} ({validity})"
