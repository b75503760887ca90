"""Ramps in words and tables: what was measured at each level, and at which level a threshold was passed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from runner.core.judgements import ThresholdResult
from runner.core.measured import Slice
from runner.core.metric import Metric
from runner.core.metrics import METRICS, metric_of
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.markdown_text import Markdown, Section, code, markdown, table
from runner.report.tables import lost_cell, lost_heading, lost_scenarios_cell

_MOST_REQUESTS: Final = 8


def sections(stages: Sequence[Stage]) -> list[Section]:
    """Return a table of slices for each ramp, with a sentence for each threshold that it passed.

    A ramp of a mix has a second table, with the p95 duration of each request.
    """
    made = []
    for stage in stages:
        if stage.slices:
            made.append(Section(table=_slices(stage), heading=stage.title, lines=tuple(crossings(stage))))
            made += _by_request(stage)
    return made


def _by_request(stage: Stage) -> Iterator[Section]:
    """Yield the p95 duration of each request in each slice; of many requests, of the slowest."""
    metric = METRICS["duration.p95"]
    measured = {name: stage.part(name) for name in stage.request_parts}
    known = {name: part for name, part in measured.items() if metric.is_known_in(part.slices)}
    if len(known) < 2:
        return
    slowest = sorted(known, key=lambda name: -(metric.read(known[name]) or math.inf))[:_MOST_REQUESTS]
    shown = [name for name in known if name in slowest]
    rows = [
        [levels(part), *(metric_text.brief_cell(metric, known[name].slice(place)) for name in shown)]
        for place, part in enumerate(stage.slices)
    ]
    few = markdown("Of {:count} requests, these have the highest p95.", len(known))
    yield Section(
        table=table([metric_text.level_heading(stage), *map(code, shown)], rows),
        heading=f"{stage.title}: {metric_text.heading(metric)} by request",
        lines=(few,) if len(shown) < len(known) else (),
    )


def crossings(stage: Stage) -> Iterator[Markdown]:
    """Yield where a ramp passed each of its thresholds; or one sentence that it passed none."""
    crossed = [result for result in stage.thresholds if result.level is not UNSET]
    yield from (markdown("{}.", crossing(result, stage)) for result in crossed)
    checked = any(_is_per_slice(result) for result in stage.thresholds)
    if checked and not crossed and (ramp := stage.level_ramp):
        yield markdown("No slice exceeded a threshold, up to {}.", metric_text.level(stage, ramp.highest))


def crossing(result: ThresholdResult, stage: Stage) -> Markdown:
    """Return where a threshold was passed: "The p95 duration exceeded 50 ms at 740 RPS, with 56.4 ms"."""
    return markdown("{}{}", exceeded(result, stage), metric_text.passed_with(result, stage))


def exceeded(result: ThresholdResult, stage: Stage) -> str:
    """Return where a threshold was passed: "The p95 duration exceeded 50 ms at 740 RPS"."""
    metric = metric_of(result.expr)
    name = f"The {metric.phrase}" if metric else result.expr
    subject = f"{name} of {result.request}" if result.request else name
    bound = metric_text.bound(result)
    verb = "fell below" if ">" in result.expr else "exceeded" if "<" in result.expr else "was not"
    at = "at" if stage.users is None else "with"
    return f"{subject} {verb} {bound} {at} {metric_text.level(stage, result.level or 0.0)}"


def _is_per_slice(result: ThresholdResult) -> bool:
    metric = metric_of(result.expr)
    return metric is not None and metric.per_slice


def each_slice(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """Yield the levels of each slice of a ramp in words, with what was measured in it."""
    for place, part in enumerate(stage.slices):
        yield levels(part), stage.slice(place)


def levels(part: Slice) -> str:
    """Return the levels at both ends of a slice."""
    return f"{number_format.rate(part.level.begin)} to {number_format.rate(part.level.to)}"


def _slices(stage: Stage) -> Markdown:
    metrics = [METRICS[path] for path in metric_text.SLICE_LATENCIES if _is_known(stage, path)]
    runs = [METRICS[path] for path in metric_text.SLICE_DURATIONS if _is_known(stage, path)]
    of_runs = ["Scenarios/s", METRICS["scenario_errors"].title, *map(metric_text.heading, runs)]
    head = [metric_text.level_heading(stage), *(of_runs if stage.scenarios else []), "Actual RPS"]
    head += [lost_heading([stage]), *map(metric_text.heading, metrics)]
    rows = [
        [name, *(_of_runs(part, runs) if stage.scenarios else [])]
        + [number_format.rate(part.actual_rps), lost_cell(part)]
        + [metric_text.brief_cell(metric, part) for metric in metrics]
        for name, part in each_slice(stage)
    ]
    return table(head, rows)


def _of_runs(part: Stage, metrics: Sequence[Metric]) -> list[str]:
    cells = [metric_text.brief_cell(metric, part) for metric in metrics]
    return [number_format.rate(part.scenarios_per_s), lost_scenarios_cell(part), *cells]


def _is_known(stage: Stage, path: str) -> bool:
    metric = METRICS[path]
    return metric_text.applies(metric, stage) and metric.is_known_in(stage.slices)
