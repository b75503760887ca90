"""Tables of a comparison: the metrics of a stage on both sides, or one row for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.codes import ComparisonVerdict
from runner.core.comparison import ComparedMetric, ComparedStage, Comparison, MetricWithoutValue, StagePlace
from runner.core.metrics import KEY_METRICS
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, markdown, table
from runner.report.metric_text import key_figure, key_heading, key_is_share
from runner.report.stage_place import has_several, place

_MINUS: Final = "−"
_NOT_JUDGED: Final = "not judged"
CHANGED: Final = frozenset({ComparisonVerdict.BETTER, ComparisonVerdict.WORSE})


def changed_metrics(comparison: Comparison) -> Markdown:
    """Return a row for each metric of a stage or request that got better or worse; empty without any."""
    several = has_several(comparison.stages)
    rows = [
        [
            place(stage, several=several),
            key_heading(metric.name),
            *_figures(metric),
            emphasized(metric.verdict),
        ]
        for stage in comparison.stages
        if stage.level is None
        for metric in stage.metrics
        if metric.verdict in CHANGED
    ]
    head = ["Stage", "Metric", "Base", "Head", "Change", "Interval", "Verdict"]
    return table(head, rows, words=(1, 6)) if rows else EMPTY


def _figures(metric: ComparedMetric) -> list[str]:
    """Return the values of both sides, and the change with its interval."""
    sides = [key_figure(metric.name, value) for value in (metric.base, metric.head)]
    change, *ends = (signed(metric.name, value) for value in (metric.change, metric.low, metric.high))
    return [*sides, change, " to ".join(ends)]


def whole_stages(comparison: Comparison) -> list[ComparedStage]:
    """Return the stages themselves, without single requests and slices."""
    return [stage for stage in comparison.stages if stage.is_whole]


def requests_of(comparison: Comparison, stage: ComparedStage) -> list[ComparedStage]:
    """Return the requests of a stage."""
    key = (stage.configuration, stage.stage)
    return [one for one in comparison.stages if one.request and (one.configuration, one.stage) == key]


def slices_of(comparison: Comparison, stage: StagePlace) -> list[ComparedStage]:
    """Return the slices of a ramp."""
    key = (stage.configuration, stage.stage)
    return [one for one in comparison.stages if one.level and (one.configuration, one.stage) == key]


def brief_table(compared: Sequence[tuple[str, ComparedStage]], heading: str) -> Markdown:
    """Return a row for each stage or request, with its name first and the changes in the cells."""
    names = [name for name in KEY_METRICS if any(name in _names(stage) for _, stage in compared)]
    rows = []
    for shown, stage in compared:
        cells = [_cell(name, stage) for name in names]
        word = markdown("{}", verdict_of(stage))
        rows.append([shown, markdown("**{}**", word) if _is_bold(stage) else word, *cells])
    return table([heading, "Verdict", *map(key_heading, names)], rows, words=(1,))


def verdict_of(stage: ComparedStage) -> str:
    """Return the verdict on a stage, which says nothing about the metrics that were not judged."""
    if is_not_judged(stage):
        return _NOT_JUDGED
    lost = any(gap.base is not None for gap in stage.without_value)
    partly = lost or not all(metric.judged for metric in stage.metrics)
    return f"{stage.verdict}, in part not judged" if partly else stage.verdict


def is_not_judged(stage: ComparedStage) -> bool:
    """Return whether no metric of a stage may be called better or worse."""
    return bool(stage.metrics) and not any(metric.judged for metric in stage.metrics)


def _is_bold(stage: ComparedStage) -> bool:
    return stage.is_whole or stage.verdict in CHANGED


def metric_table(stage: ComparedStage, margin: float) -> Markdown:
    """Return a row for each metric of a stage, with its interval and the smallest change that would show."""
    rows = []
    for metric in stage.metrics:
        word = emphasized(metric.verdict) if metric.judged else markdown("{}", _NOT_JUDGED)
        rows.append([key_heading(metric.name), *_figures(metric), _detectable(metric, margin), word])
    for gap in stage.without_value:
        nothing = [number_format.NOT_APPLICABLE] * 3
        rows.append([key_heading(gap.name), *_sides(gap), *nothing, markdown("{}", _NOT_JUDGED)])
    head = ["Metric", "Base", "Head", "Change", "Interval", "Detectable change", "Verdict"]
    return table(head, rows, words=(6,))


def _sides(gap: MetricWithoutValue) -> list[str]:
    """Return both values of a metric that cannot be compared, or why there is none."""
    sides = ((gap.base, gap.why_base), (gap.head, gap.why_head))
    return [number_format.NO_FINITE_VALUE if why else key_figure(gap.name, value) for value, why in sides]


def emphasized(word: ComparisonVerdict) -> Markdown:
    """Return a verdict, in bold where something changed."""
    return markdown("**{}**" if word in CHANGED else "{}", word)


def _detectable(metric: ComparedMetric, margin: float) -> str:
    """Return the smallest change that could have been shown: the same factor is less of a decrease."""
    if key_is_share(metric.name):
        return share_text(metric.detectable).replace("%", "pp")
    less = max(margin, metric.detectable / (1 + metric.detectable))
    if less == metric.detectable:
        return share_text(less)
    return f"{signed(metric.name, -less)} or {signed(metric.name, metric.detectable)}"


def _names(stage: ComparedStage) -> set[str]:
    return {each.name for each in stage.metrics} | {each.name for each in stage.without_value}


def _cell(name: str, stage: ComparedStage) -> Markdown:
    metric = next((metric for metric in stage.metrics if metric.name == name), None)
    gap = next((gap for gap in stage.without_value if gap.name == name), None)
    if metric is None:
        none = (
            number_format.NOT_APPLICABLE if KEY_METRICS[name].scenarios_only else number_format.NOT_MEASURED
        )
        return markdown("{} → {}", *_sides(gap)) if gap else markdown("{}", none)
    before, after = (key_figure(metric.name, value) for value in (metric.base, metric.head))
    if before == after:
        return markdown("{}", after)
    word = markdown(", **{}**", metric.verdict) if metric.verdict in CHANGED else EMPTY
    return markdown("{} → {} ({}{})", before, after, signed(metric.name, metric.change), word)


def signed(name: str, value: float) -> str:
    """Return the relative change of a metric with its sign; that of a share is in percentage points."""
    percent = value * 100
    digits = 0 if abs(percent) >= 100 else 1
    sign = "+" if percent > 0 else _MINUS if percent < 0 else ""
    return f"{sign}{abs(percent):,.{digits}f} {'pp' if key_is_share(name) else '%'}"


def share_text(value: float) -> str:
    """Return a share in percent, whole if it is."""
    return f"{value * 100:,.{0 if value >= 1 or value * 100 == int(value * 100) else 1}f} %"
