"""The few numbers of every stage that belong on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.analyze.medians import of_medians
from runner.core.codes import Unbounded, Validity
from runner.core.metrics import METRICS
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import metric_text
from runner.report.capacity import shown
from runner.report.doubts import doubtful
from runner.report.number_format import NOT_APPLICABLE, plural
from runner.report.sparkline import rate_sparkline
from runner.report.stage_choice import probe_result, state

TEXT_COLUMNS: Final = frozenset({"configuration", "stage", "rate over time", "verdict"})
"""Columns that hold no numbers."""
_NAMED: Final = 4


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


def doubts(results: Results) -> Iterator[str]:
    """Yield why stages of the rows are suspect or invalid, a line for those with the same reasons."""
    several = len(results.configurations) > 1
    groups = doubtful(
        (
            (f"{stage.title} of {configuration.name}" if several else stage.title, stage)
            for configuration in map(of_medians, results.configurations)
            for stage in shown(configuration).stages
        ),
        brief=True,
    )
    ranked = sorted(groups, key=lambda group: -len(group.stages))
    yield from (f"{group.sentence()}." for group in ranked[:_NAMED])
    if more := sum(len(group.stages) for group in ranked[_NAMED:]):
        yield f"{plural(more, 'more stage')} {'is' if more == 1 else 'are'} doubtful; the report says why."


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
    validity, verdict = stage.validity.status, probe_result(stage) or stage.verdict.name
    return state(stage) or f"{verdict}{'' if validity is Validity.VALID else f' ({validity})'}"
