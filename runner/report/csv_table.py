"""One row for each stage, request of a mix and slice of a ramp, for spreadsheets: unrounded numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias

from runner.analyze.median_stage import MEDIAN
from runner.analyze.medians import of_medians
from runner.core.codes import RoleName, is_service
from runner.core.metric import Metric
from runner.core.metrics import METRICS, usages_of
from runner.core.ramp import Ramp
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report.csv_nodes import has_nodes, node_cells, node_row
from runner.report.exact_numbers import exact
from runner.report.metric_text import mean_users
from runner.report.request_tables import all_parts

Cell: TypeAlias = str | float | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def render_csv(results: Results) -> str:
    """Return RFC 4180 text with a heading row; an empty cell is a number that was not measured.

    Columns are the stage's place in the run, then every metric; they are the same for every run with the same
    services, with scenarios or without. The column `request` is empty in the row of a whole stage. A
    repeated stage has one more row, with ``median`` as its repeat. Each slice of a ramp has a row of its own,
    with the level at both of its ends in `slice_from` and `slice_to`. Of stages on several machines, each
    node has a row, with its name in `node`, its CPU and memory, and its part of the load. Text that a
    spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection).
    """
    scenarios = any(stage.scenarios for one in results.configurations for stage in one.stages)
    known = [metric for metric in METRICS.values() if scenarios or not metric.scenarios_only]
    metrics = [*known, *chain.from_iterable(map(usages_of, _services(results)))]
    rows = [
        row
        for configuration in results.configurations
        for stage in [*configuration.stages, *_medians(configuration)]
        for row in _rows(results, configuration, stage, metrics, scenarios=scenarios)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _rows(
    results: Results,
    configuration: ConfigurationResults,
    stage: Stage,
    metrics: Sequence[Metric],
    *,
    scenarios: bool,
) -> Iterator[dict[str, Cell]]:
    """Yield the row of a stage, of each of its parts and slices, and of each machine of several."""
    more = node_cells(None) if has_nodes(results) else {}
    whole: dict[str, Cell] = {}
    for request, part in [("", stage), *all_parts(stage)]:
        slices = ((part.slice(at), one.level) for at, one in enumerate(part.slices))
        for measured, ends in [(part, None), *slices]:
            row = _row(results, configuration, measured, request, ends, metrics, scenarios=scenarios) | more
            whole = whole or row
            yield row
    if stage.repeat != MEDIAN:
        yield from (node_row(node, stage, whole, metrics) for node in stage.nodes)


def _services(results: Results) -> list[RoleName]:
    stages = (stage for one in results.configurations for stage in one.stages)
    return sorted({role for stage in stages for role in stage.cpu_cores if is_service(role)})


def _medians(configuration: ConfigurationResults) -> list[Stage]:
    """Return each repeated stage as the median of its repeats, whose thresholds were judged."""
    return [stage for stage in of_medians(configuration).stages if stage.repeat == MEDIAN]


def _row(
    results: Results,
    configuration: ConfigurationResults,
    stage: Stage,
    request: str,
    ends: Ramp | None,
    metrics: Sequence[Metric],
    *,
    scenarios: bool,
) -> dict[str, Cell]:
    requests, verdict = stage.requests, stage.verdict
    return {
        "experiment": results.experiment.name,
        "configuration": configuration.name,
        "stage": stage.name,
        "repeat": stage.repeat or "median",
        "request": request,
        "engine": stage.engine,
        "status": stage.status,
        "validity": stage.validity.status,
        "verdict": verdict.code,
        "confidence": verdict.confidence,
        "thresholds_failed": sum(not threshold.ok for threshold in stage.thresholds),
        "window_s": stage.window_s,
        "target_rps": stage.target_rps,
        **(_runs(stage) if scenarios else {}),
        "scheduled": requests.scheduled,
        "sent": requests.sent,
        "succeeded": requests.succeeded,
        "failed": requests.failed,
        **{metric.key: metric.read(stage) for metric in metrics},
        "slice_from": ends.begin if ends else None,
        "slice_to": ends.to if ends else None,
        "users": None if stage.users is None else mean_users(stage),
    }


def _runs(stage: Stage) -> dict[str, Cell]:
    """Return the counts of the runs of scenarios; empty cells for single requests."""
    runs = stage.scenarios
    names = ("scheduled", "started", "completed", "failed", "unfinished", "dropped")
    counts: dict[str, Cell] = {f"scenarios_{name}": getattr(runs, name) if runs else None for name in names}
    return {"users_per_s": stage.mean_users_per_s if runs else None, **counts}


def _cell(value: Cell) -> Cell:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return exact(value)
