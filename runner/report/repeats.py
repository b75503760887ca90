"""Repeats of the same stage: one row of medians with their intervals, and the outliers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.core.metrics import KEY_METRICS
from runner.core.repeat_results import Repeats
from runner.core.results import ConfigurationResults
from runner.report import number_format
from runner.report.markdown_text import Markdown, Section, listed, markdown, table
from runner.report.metric_text import key_figure, key_heading


def repeats(configuration: ConfigurationResults) -> Section | None:
    """Return a table and remarks; None when nothing was repeated."""
    groups = configuration.repeats
    if not groups:
        return None
    names = [name for name in KEY_METRICS if any(_is_known(name, group, configuration) for group in groups)]
    rows = [
        [group.stage, number_format.count(group.n), *(_cell(name, group, configuration) for name in names)]
        for group in groups
    ]
    numbers = {stage.order: stage.repeat for stage in configuration.stages}
    return Section(
        table=table(["Stage", "Repeats", *map(key_heading, names)], rows),
        lines=tuple(line for group in groups for line in _lines(group, numbers)),
    )


def _is_known(name: str, group: Repeats, configuration: ConfigurationResults) -> bool:
    return name in group.metrics or bool(_infinite(name, group, configuration))


def _infinite(name: str, group: Repeats, configuration: ConfigurationResults) -> int:
    """Return in how many usable repeats of a stage a metric has no finite value."""
    return sum(
        stage.name == group.stage
        and stage.order not in group.left_out
        and KEY_METRICS[name].unbounded(stage) is not None
        for stage in configuration.stages
    )


def _cell(name: str, group: Repeats, configuration: ConfigurationResults) -> str:
    metric = group.metrics.get(name)
    if metric is None:
        infinite = _infinite(name, group, configuration)
        of_repeats = "" if infinite == group.n else f" in {infinite} of {group.n}"
        return f"{number_format.NO_FINITE_VALUE}{of_repeats}" if infinite else number_format.NOT_MEASURED
    median, low, high = (key_figure(name, value) for value in (metric.median, metric.low, metric.high))
    if metric.low is not None and metric.high is None:
        high = "∞"
    if metric.low is None or low == high == median:
        return median
    return f"{median} ({low} to {high})"


def _lines(group: Repeats, numbers: Mapping[int, int]) -> Iterator[Markdown]:
    if group.left_out:
        unusable = listed(_repeat(order, numbers) for order in group.left_out)
        yield markdown("{}: {} could not be used.", group.stage, unusable)
    for name, metric in group.metrics.items():
        for outlier in metric.outliers:
            place, value = _repeat(outlier.order, numbers), key_figure(name, outlier.value)
            yield markdown(
                "{}, {}: {} {} is an outlier. It is included in all statistics.",
                *(group.stage, place, key_heading(name), value),
            )


def _repeat(order: int, numbers: Mapping[int, int]) -> str:
    return f"repeat {numbers.get(order, '?')}"
