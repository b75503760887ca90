"""The tables of scenarios: how their runs ended, and their steps in order, with where users were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET

from runner.core.load_results import LoadSummary
from runner.core.measured import Measured, Part
from runner.core.metrics import METRICS
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.markdown_text import EMPTY, Markdown, Section, code, markdown, table
from runner.report.request_tables import stage_table
from runner.report.tables import every_stage, metric_row, stage_place, users_per_s

_Cell: TypeAlias = Callable[[Stage], str]
_METRICS: Final = (
    "scenarios_per_s", "achieved", "scenario_errors", "scenario_duration.p50", "scenario_duration.p95",
    "scenario_duration.p99",
)  # fmt: skip
_OF_STEP: Final = ("duration.p50", "duration.p95", "duration.p99")
_MAX_SCENARIOS: Final = 20


def step_name(path: str) -> str:
    """Return the name of a step within its scenario."""
    return path.partition("/")[2] or path


def results_by_scenario(stages: Sequence[Stage]) -> Markdown:
    """Return a row for each scenario of each stage, then one for all; empty without scenarios."""
    ran = [stage for stage in stages if stage.scenarios]
    measured = [(stage, name, part) for stage in ran for name, part in _rows(stage)]
    columns: list[tuple[str, _Cell]] = [("Users/s", users_per_s), *map(_column, _METRICS)]
    columns = [
        (title, cell)
        for title, cell in columns
        if any(cell(part) != number_format.NOT_APPLICABLE for _, _, part in measured)
    ]
    rows = [[stage.title, name, *(cell(part) for _, cell in columns)] for stage, name, part in measured]
    head = ["Stage", "Scenario", *(title for title, _ in columns)]
    return stage_table(head, rows, ran) if rows else EMPTY


def _column(path: str) -> tuple[str, _Cell]:
    metric = METRICS[path]
    if metric.path.startswith("scenario_duration"):
        return metric_text.heading(metric), lambda part: metric_text.brief_cell(metric, part)
    return metric_row(path)


def _rows(stage: Stage) -> Iterator[tuple[Markdown, Stage]]:
    names = list(stage.scenario_parts)
    yield from ((code(name), stage.part(name)) for name in names)
    if len(names) > 1:
        yield markdown("**all scenarios**"), stage


def steps(stages: Sequence[Stage]) -> list[Section]:
    """Return a table of the steps of each scenario, in their order."""
    ran = [stage for stage in stages if stage.scenarios]
    names = dict.fromkeys(name for stage in ran for name in stage.scenario_parts)
    return [_steps(name, [stage for stage in ran if name in stage.parts]) for name in names][:_MAX_SCENARIOS]


def _steps(scenario: str, stages: Sequence[Stage]) -> Section:
    rows = [
        [stage.title, code(step_name(path)), *_cells(stage, scenario, path)]
        for stage in stages
        for path in stage.steps_of(scenario)
    ]
    head = ["Stage", "Step", "Requests", "Users Lost Here", "Share Lost"]
    head += [metric_text.heading(METRICS[path]) for path in _OF_STEP]
    head.append("Share of the Time")
    return Section(heading=code(scenario), table=stage_table(head, rows, stages))


def _cells(stage: Stage, scenario: str, path: str) -> Iterator[str]:
    step, part = stage.parts[path], stage.part(path)
    yield from _counts(stage.parts[scenario], step)
    yield from (metric_text.brief_cell(METRICS[metric], part) for metric in _OF_STEP)
    yield number_format.share(step.time_share)


def _counts(scenario: Part, step: Part) -> Iterator[str]:
    """Yield the requests of a step, how many users it cost, and their share of all users who started."""
    yield number_format.count(step.requests.scheduled)
    lost, runs = step.ended_users or 0, scenario.scenarios
    yield markdown("**{:,}**", lost) if lost else "0"
    started = runs.started if runs else 0
    yield number_format.share(lost / started) if started else number_format.NOT_APPLICABLE


def scenario_mix(load: LoadSummary) -> Markdown:
    """Return what the scenarios are: their shares of the users, and their requests; empty without any."""
    rows = [
        [
            code(scenario.name) if at == 0 else "",
            number_format.share(scenario.share) if at == 0 else "",
            code(step.name),
            step.method,
            code(step.path) if step.path else "an extracted URL",
        ]
        for scenario in ([] if load.scenarios is UNSET else load.scenarios)
        for at, step in enumerate(scenario.steps)
    ]
    return table(["Scenario", "Users", "Step", "Method", "Path"], rows, words=(2, 3, 4)) if rows else EMPTY


def paths(load: LoadSummary) -> Mapping[str, str]:
    """Return the path of each step, by its name in results."""
    return {
        f"{scenario.name}/{step.name}": step.path
        for scenario in ([] if load.scenarios is UNSET else load.scenarios)
        for step in scenario.steps
    }


def scenario_outcomes(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return every run of every scenario in exactly one column; empty without scenarios."""
    ran = [(configuration, stage) for configuration, stage in every_stage(configurations) if stage.scenarios]
    kinds = sorted({kind for _, stage in ran if stage.scenarios for kind in stage.scenarios.failures})
    rows = [
        [stage_place(configuration.name, stage, len(configurations)), code(name), *_run_counts(part, kinds)]
        for configuration, stage in ran
        for name, part in stage.scenario_parts.items()
    ]
    head = ["Stage", "Scenario", "due", "started", "completed", *kinds, "unfinished", "dropped"]
    return table(head, rows, words=(1,)) if rows else EMPTY


def _run_counts(part: Measured, kinds: Sequence[str]) -> list[str]:
    runs = part.scenarios
    if runs is None:
        return []
    failed = [runs.failures.get(kind, 0) for kind in kinds]
    counts = (runs.scheduled, runs.started, runs.completed, *failed, runs.unfinished, runs.dropped)
    return [number_format.count(number) for number in counts]
