"""The history of an experiment as Markdown: a curve for each metric, oldest run first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from runner.core.comparison import History, MetricHistory, StageHistory
from runner.report import number_format
from runner.report.comparison_tables import emphasized
from runner.report.markdown_text import Markdown, code, join, listed, markdown, table
from runner.report.metric_text import key_figure, key_heading
from runner.report.sparkline import sparkline
from runner.report.stage_place import has_several, level_heading, levels_of, place

_OF_PARTS: Final = (
    "actual_rps", "duration_ms.p95", "scenario_duration_ms.p95", "lost", "scenarios_lost",
)  # fmt: skip
_HEAD = ("Metric", "Runs", "Lowest", "Highest", "Median before", "Last", "Verdict")


def render_history(history: History) -> str:
    """Return the whole history as Markdown."""
    return join("\n\n", _parts(history)) + "\n"


def _parts(history: History) -> Iterator[Markdown]:
    several = has_several(history.stages)
    span = markdown("")
    if history.runs:
        span = markdown(", from {} to {}", history.runs[0].started_at, history.runs[-1].started_at)
    yield markdown("# History of {}", history.experiment)
    yield markdown(
        "{}{}. Each curve starts at 0, with the oldest run on the left. The last run is compared with all "
        "earlier ones.",
        *(number_format.plural(len(history.runs), "run"), span),
    )
    if history.unlike:
        ids = listed(code(run) for run in history.unlike)
        yield markdown("Excluded because they ran on another machine: {}.", ids)
    for stage in history.stages:
        if stage.is_whole:
            yield markdown("## {}", place(stage, several=several))
            yield from _doubts(stage, history)
            yield table(_HEAD, [_row(metric) for metric in stage.metrics], words=(1, 6))
            parts = [one for one in history.stages if _is_part_of(one, stage)]
            yield from _parts_of(parts, "By request:", "Request", lambda part: part.request)
            heading = level_heading(part for part in parts if part.level is not None)
            yield from _parts_of(parts, "By slice of the ramp:", heading, _levels)


def _doubts(stage: StageHistory, history: History) -> Iterator[Markdown]:
    """Yield in which runs a stage is suspect."""
    if stage.suspect:
        ids = listed(code(history.runs[at].id) for at in stage.suspect)
        yield markdown(
            "Suspect in {} of {}: {}. A suspect stage without repeats is not judged.",
            *(len(stage.suspect), number_format.plural(len(history.runs), "run"), ids),
        )


def _is_part_of(one: StageHistory, stage: StageHistory) -> bool:
    return not one.is_whole and (one.configuration, one.stage) == (stage.configuration, stage.stage)


def _levels(part: StageHistory) -> str:
    return levels_of(part, unit=False)


def _parts_of(
    parts: Sequence[StageHistory], title: str, heading: str, name: Callable[[StageHistory], str]
) -> Iterator[Markdown]:
    """Yield a table of the most important metrics of each part that has such a name."""
    rows = [
        [name(part), *_row(metric)]
        for part in parts
        for metric in part.metrics
        if name(part) and metric.name in _OF_PARTS
    ]
    if rows:
        yield markdown("{}", title)
        yield table([heading, *_HEAD], rows, words=(1, 2, 7))


def _row(metric: MetricHistory) -> list[str]:
    known = [value for value in metric.values if value is not None]
    last = len(metric.values) - 1
    highest = None if metric.unbounded else max(known, default=None)
    return [
        key_heading(metric.name),
        code(sparkline(metric.values)),
        _figure(metric, min(known, default=None), infinite=bool(metric.unbounded)),
        _figure(metric, highest, infinite=bool(metric.unbounded)),
        _figure(metric, metric.median, infinite=any(place < last for place in metric.unbounded)),
        _figure(metric, metric.last, infinite=last in metric.unbounded),
        emphasized(metric.verdict) if metric.verdict else number_format.NOT_APPLICABLE,
    ]


def _figure(metric: MetricHistory, value: float | None, *, infinite: bool) -> str:
    """Return a value, or why there is none: it is infinite, or was not measured."""
    return number_format.NO_FINITE_VALUE if value is None and infinite else key_figure(metric.name, value)
