"""A history for people: a curve for each metric, oldest run first."""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.comparison import History, MetricHistory, StageHistory
from runner.report import number_format
from runner.report.comparison import emphasized
from runner.report.markdown_text import Markdown, code, join, listed, markdown, table
from runner.report.metric_text import key_figure, key_heading
from runner.report.sparkline import sparkline


def render_history(history: History) -> str:
    """Return the whole history as Markdown."""
    return join("\n\n", _parts(history)) + "\n"


def _parts(history: History) -> Iterator[Markdown]:
    several = len({stage.configuration for stage in history.stages}) > 1
    yield markdown("# History of {}", history.experiment)
    yield markdown(
        "{}{}. Each curve starts at 0, with the oldest run on the left. The last run is compared with all "
        "earlier ones.",
        number_format.plural(len(history.runs), "run"),
        _span(history),
    )
    if history.unlike:
        ids = listed(code(run) for run in history.unlike)
        yield markdown("Excluded because they ran on another machine: {}.", ids)
    for stage in history.stages:
        place = f"{stage.configuration}, {stage.stage}" if several else stage.stage
        yield markdown("## {}", place)
        yield _table(stage)


def _span(history: History) -> Markdown:
    if not history.runs:
        return markdown("")
    return markdown(", from {} to {}", history.runs[0].started_at, history.runs[-1].started_at)


def _table(stage: StageHistory) -> Markdown:
    head = ["Metric", "Runs", "Lowest", "Highest", "Median before", "Last", "Verdict"]
    return table(head, [_row(metric) for metric in stage.metrics], words=(1, 6))


def _row(metric: MetricHistory) -> list[str]:
    known = [value for value in metric.values if value is not None]
    figures = (min(known, default=None), max(known, default=None), metric.median, metric.last)
    return [
        key_heading(metric.name),
        code(sparkline(metric.values)),
        *(key_figure(metric.name, value) for value in figures),
        emphasized(metric.verdict) if metric.verdict else number_format.NOT_APPLICABLE,
    ]
