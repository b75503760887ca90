"""A comparison for people: what else differs, what got better or worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import Basis, ComparisonVerdict
from runner.core.comparison import (
    ComparedMetric,
    ComparedRun,
    ComparedStage,
    Comparison,
    LeftOut,
    SideBySide,
    StageKey,
)
from runner.core.metrics import KEY_METRICS
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown, table
from runner.report.metric_text import key_figure, key_heading, key_is_share

_MINUS: Final = "−"
CHANGED: Final = frozenset({ComparisonVerdict.BETTER, ComparisonVerdict.WORSE})


def render_comparison(comparison: Comparison) -> str:
    """Return the whole comparison as Markdown."""
    parts = [
        markdown("# Comparison"),
        *(markdown("> {}", warning) for warning in _warning(comparison)),
        markdown("> {}", verdict(comparison)),
        markdown("Base: {}  \nHead: {}", _runs(comparison.base), _runs(comparison.head)),
        *_surroundings(comparison),
        *stage_sections(comparison),
    ]
    return join("\n\n", parts) + "\n"


def stage_sections(comparison: Comparison) -> list[Markdown]:
    """Return a table for each stage, what was left out, and the method."""
    several = _has_several(comparison)
    parts: list[Markdown] = []
    for stage in comparison.stages:
        parts.append(markdown("## {}: {}", _place(stage, several=several), stage.verdict))
        parts.append(_table(stage))
    remarks = [markdown("- {}", line) for line in _remarks(comparison)]
    if remarks:
        parts += [markdown("## Excluded and Suspect Stages"), join("\n", remarks)]
    return [*parts, markdown("## Method"), _method(comparison)]


def brief_comparison(comparison: Comparison) -> Markdown:
    """Return the comparison where space is short: one table, with the changes in it."""
    several = _has_several(comparison)
    names = [name for name in KEY_METRICS if any(_metric(stage, name) for stage in comparison.stages)]
    rows = [
        [
            _place(stage, several=several),
            *(_cell(_metric(stage, name)) for name in names),
            markdown("**{}**", stage.verdict),
        ]
        for stage in comparison.stages
    ]
    others = [markdown("Other differences: {}.", differences(comparison.changed))]
    notes = [*(others if comparison.changed else []), *_remarks(comparison)]
    parts = [
        *(markdown("> {}", warning) for warning in _warning(comparison)),
        verdict(comparison),
        table(["Stage", *map(key_heading, names), "Verdict"], rows),
        join("\n", (markdown("- {}", note) for note in notes)),
        _method(comparison),
    ]
    return join("\n\n", filter(None, parts))


def verdict(comparison: Comparison) -> Markdown:
    """Return the result in one sentence."""
    margin = _share(comparison.margin)
    if comparison.verdict in CHANGED:
        return markdown("**Head is {}.** {}.", comparison.verdict, listed(_deciding(comparison)))
    if comparison.verdict is ComparisonVerdict.EQUIVALENT:
        return markdown("**Equivalent.** Every difference is within the margin of {}.", margin)
    return markdown("**No difference shown.** No change is both certain and above the margin of {}.", margin)


def _deciding(comparison: Comparison) -> Iterator[Markdown]:
    several = _has_several(comparison)
    for stage in comparison.stages:
        for metric in stage.metrics:
            if metric.verdict is comparison.verdict:
                place = _place(stage, several=several)
                yield markdown("{}: {} {}", place, key_heading(metric.name), signed_change(metric))


def _has_several(comparison: Comparison) -> bool:
    return len({stage.configuration for stage in comparison.stages}) > 1


def _warning(comparison: Comparison) -> Iterator[Markdown]:
    if comparison.unlike:
        yield markdown(
            "**Different machines:** {}. They may cause differences in the results.",
            differences(comparison.unlike),
        )


def differences(rows: Sequence[SideBySide]) -> Markdown:
    """Return what differs, in one line."""
    return join("; ", (markdown("{} {} → {}", row.what, row.base, row.head) for row in rows))


def _runs(runs: Sequence[ComparedRun]) -> Markdown:
    if not runs:
        return markdown("no run")
    first = markdown("{} of {}, {}", code(runs[0].id), runs[0].started_at, code(runs[0].command))
    if len(runs) == 1:
        return first
    return markdown("{} and {}", first, number_format.plural(len(runs) - 1, "more run"))


def differing(rows: Sequence[SideBySide], base: str, head: str) -> list[Markdown]:
    """Return a table of what differs apart from the results."""
    cells = [[row.what, row.base, row.head] for row in rows]
    return [markdown("## Other Differences"), table(["Property", base, head], cells, figures=False)]


def _surroundings(comparison: Comparison) -> list[Markdown]:
    rows = [*comparison.unlike, *comparison.changed]
    if rows:
        return differing(rows, "Base", "Head")
    return [markdown("Machine, versions and specification are identical.")]


def _table(stage: ComparedStage) -> Markdown:
    rows = [
        [
            key_heading(metric.name),
            key_figure(metric.name, metric.base),
            key_figure(metric.name, metric.head),
            signed_change(metric),
            f"{_signed(metric, metric.low)} to {_signed(metric, metric.high)}",
            _detectable(metric),
            emphasized(metric.verdict),
        ]
        for metric in stage.metrics
    ]
    head = ["Metric", "Base", "Head", "Change", "Interval", "Detectable change", "Verdict"]
    return table(head, rows, words=(6,))


def emphasized(word: ComparisonVerdict) -> Markdown:
    """Return a verdict, in bold where something changed."""
    return markdown("**{}**" if word in CHANGED else "{}", word)


def _detectable(metric: ComparedMetric) -> str:
    text = _share(metric.detectable)
    return text.replace("%", "pp") if key_is_share(metric.name) else text


def _metric(stage: ComparedStage, name: str) -> ComparedMetric | None:
    return next((metric for metric in stage.metrics if metric.name == name), None)


def _cell(metric: ComparedMetric | None) -> Markdown:
    if metric is None:
        return markdown("{}", number_format.NOT_MEASURED)
    before, after = (key_figure(metric.name, value) for value in (metric.base, metric.head))
    if before == after:
        return markdown("{}", after)
    word = markdown(", **{}**", metric.verdict) if metric.verdict in CHANGED else EMPTY
    return markdown("{} → {} ({}{})", before, after, signed_change(metric), word)


def signed_change(metric: ComparedMetric) -> str:
    """Return by how much a metric changed, with its sign and unit."""
    return _signed(metric, metric.change)


def _signed(metric: ComparedMetric, value: float) -> str:
    return signed(value, share=key_is_share(metric.name))


def signed(value: float, *, share: bool) -> str:
    """Return a relative change with its sign; the change of a share is in percentage points."""
    percent = value * 100
    digits = 0 if abs(percent) >= 100 else 1
    sign = "+" if percent > 0 else _MINUS if percent < 0 else ""
    return f"{sign}{abs(percent):,.{digits}f} {'pp' if share else '%'}"


def _share(value: float) -> str:
    return f"{value * 100:,.{0 if value >= 1 or value * 100 == int(value * 100) else 1}f} %"


def _place(stage: ComparedStage | LeftOut, *, several: bool) -> str:
    return f"{stage.configuration}, {stage.stage}" if several else stage.stage


def _remarks(comparison: Comparison) -> Iterator[Markdown]:
    for excluded in comparison.left_out:
        yield markdown("{} ({}): {}.", _place(excluded, several=True), excluded.side, excluded.why)
    for doubtful in comparison.suspect:
        place = _place(doubtful, several=True)
        yield markdown("{} is suspect ({}): {}.", place, doubtful.side, doubtful.why)
    yield from _only("base", comparison.only_in_base)
    yield from _only("head", comparison.only_in_head)


def _only(side: str, keys: Sequence[StageKey]) -> Iterator[Markdown]:
    for configuration, stage in keys:
        yield markdown("Only in the {}: {}, {}.", side, configuration, stage)


def _method(comparison: Comparison) -> Markdown:
    text = markdown(
        "A metric is better or worse if its interval excludes 0 and its change exceeds the margin of {}. The "
        "intervals hold jointly: of comparisons of equal systems, at most {} report any change.",
        _share(comparison.margin),
        _share(1 - comparison.confidence),
    )
    if all(metric.basis != Basis.ASSUMED_NOISE for stage in comparison.stages for metric in stage.metrics):
        return text
    return markdown(
        "{} One side has a single run, so the variation between runs is unknown. A deliberately high noise "
        "is assumed, and only large changes are detected. With `repeats: 5`, smaller ones are.",
        text,
    )
