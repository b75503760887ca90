"""A comparison as Markdown: what else differs, what got better or worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from runner.core.codes import Basis, ComparisonVerdict
from runner.core.comparison import (
    ComparedMetric,
    ComparedRun,
    ComparedStage,
    Comparison,
    MetricWithoutValue,
    SideBySide,
    StagePlace,
)
from runner.core.metrics import KEY_METRICS
from runner.core.ramp import Ramp
from runner.report import number_format
from runner.report.alike import alike
from runner.report.gaps import detectable_change, gaps
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown, table
from runner.report.metric_text import key_figure, key_heading, key_is_share
from runner.report.stage_place import has_several, level_heading, levels_of, place

_MINUS: Final = "−"
_NOT_JUDGED: Final = "not judged"
CHANGED: Final = frozenset({ComparisonVerdict.BETTER, ComparisonVerdict.WORSE})


def render_comparison(comparison: Comparison) -> str:
    """Return the whole comparison as Markdown."""
    rows = [*comparison.unlike, *comparison.changed]
    parts = [
        markdown("# Comparison"),
        *(markdown("> {}", warning) for warning in _warning(comparison)),
        markdown("> {}", verdict(comparison)),
        markdown("Base: {}  \nHead: {}", _runs(comparison.base), _runs(comparison.head)),
        *changes(rows, "Base", "Head", "Machine, versions and specification"),
        *filter(None, [_same(comparison)]),
        *stage_sections(comparison),
    ]
    return join("\n\n", parts) + "\n"


def stage_sections(comparison: Comparison) -> list[Markdown]:
    """Return a table for each stage, what was left out, and the method."""
    several = has_several(comparison.stages)
    parts: list[Markdown] = []
    for stage in _whole(comparison):
        parts += [
            markdown("## {}: {}", place(stage, several=several), _verdict_of(stage)),
            _table(stage, comparison.margin),
        ]
        if requests := _requests(comparison, stage):
            parts += [markdown("By request:"), _brief_table([(it.request, it) for it in requests], "Request")]
        if slices := _slices(comparison, stage):
            rows = [(levels_of(it, unit=False), it) for it in slices]
            parts += [markdown("By slice of the ramp:"), _brief_table(rows, level_heading(slices))]
    if remarks := [markdown("- {}", line) for line in _remarks(comparison)]:
        parts += [markdown("## Excluded and Suspect Stages"), join("\n", remarks)]
    return [*parts, markdown("## Method"), _method(comparison)]


def brief_comparison(comparison: Comparison) -> Markdown:
    """Return the comparison where space is short: one table, with the changes in it."""
    several = has_several(comparison.stages)
    apart = [stage for stage in comparison.stages if stage.level is None]
    changed = [stage for stage in apart if not stage.request or stage.verdict in CHANGED]
    others = len(apart) - len(changed)
    notes = [*_changed_slices(comparison, several=several), *_remarks(comparison)]
    if others:
        notes.append(markdown("Left out: {:count} results of single requests without a change.", others))
    if same := _same(comparison):
        notes.insert(0, same)
    if comparison.changed:
        notes.insert(0, markdown("Other differences: {}.", differences(comparison.changed)))
    parts = [
        *(markdown("> {}", warning) for warning in _warning(comparison)),
        verdict(comparison),
        _brief_table([(place(stage, several=several), stage) for stage in changed], "Stage"),
        join("\n", (markdown("- {}", note) for note in notes)),
        _method(comparison),
    ]
    return join("\n\n", filter(None, parts))


def _whole(comparison: Comparison) -> list[ComparedStage]:
    return [stage for stage in comparison.stages if stage.is_whole]


def _requests(comparison: Comparison, stage: ComparedStage) -> list[ComparedStage]:
    """Return the requests of a stage."""
    key = (stage.configuration, stage.stage)
    return [one for one in comparison.stages if one.request and (one.configuration, one.stage) == key]


def _slices(comparison: Comparison, stage: StagePlace) -> list[ComparedStage]:
    """Return the slices of a ramp."""
    key = (stage.configuration, stage.stage)
    return [one for one in comparison.stages if one.level and (one.configuration, one.stage) == key]


def _changed_slices(
    comparison: Comparison, only: ComparisonVerdict | None = None, *, several: bool
) -> Iterator[Markdown]:
    """Yield the metrics that changed in slices of a ramp, with the levels and changes of all such slices."""
    for stage in _whole(comparison):
        slices = _slices(comparison, stage)
        groups: dict[tuple[str, ComparisonVerdict], list[tuple[ComparedStage, float]]] = {}
        for part in slices:
            for metric in part.metrics:
                if metric.verdict in ({only} if only else CHANGED):
                    groups.setdefault((metric.name, metric.verdict), []).append((part, metric.change))
        for (name, word), changed in groups.items():
            ends = [signed(name, change) for change in sorted({change for _, change in changed})]
            yield markdown(
                "{}, {} ({} of {} slices): {} {}{}",
                *(place(stage, several=several), _span([part for part, _ in changed])),
                *(
                    len(changed),
                    len(slices),
                    key_heading(name),
                    " to ".join(dict.fromkeys([ends[0], ends[-1]])),
                ),
                EMPTY if only else markdown(", {}", word),
            )


def _span(slices: Sequence[ComparedStage]) -> str:
    """Return the levels from the start of the first slice to the end of the last one."""
    levels = [part.level for part in slices if part.level]
    return levels_of(replace(slices[0], level=Ramp(levels[0].begin, levels[-1].to)))


def _brief_table(compared: Sequence[tuple[str, ComparedStage]], heading: str) -> Markdown:
    """Return a row for each stage or request, with its name first and the changes in the cells."""
    names = [name for name in KEY_METRICS if any(name in _names(stage) for _, stage in compared)]
    rows = []
    for shown, stage in compared:
        cells = [_cell(name, stage) for name in names]
        word = markdown("{}", _verdict_of(stage))
        rows.append([shown, *cells, markdown("**{}**", word) if _is_bold(stage) else word])
    return table([heading, *map(key_heading, names), "Verdict"], rows)


def _verdict_of(stage: ComparedStage) -> str:
    """Return the verdict on a stage, which says nothing about the metrics that were not judged."""
    if _is_not_judged(stage):
        return _NOT_JUDGED
    lost = any(gap.base is not None for gap in stage.without_value)
    partly = lost or not all(metric.judged for metric in stage.metrics)
    return f"{stage.verdict}, in part not judged" if partly else stage.verdict


def _is_not_judged(stage: ComparedStage) -> bool:
    return bool(stage.metrics) and not any(metric.judged for metric in stage.metrics)


def _is_bold(stage: ComparedStage) -> bool:
    return stage.is_whole or stage.verdict in CHANGED


def verdict(comparison: Comparison) -> Markdown:
    """Return the result in one sentence."""
    margin = _share(comparison.margin)
    if comparison.stages and all(map(_is_not_judged, comparison.stages)):
        text = markdown("Nothing can be called better or worse.")
    elif comparison.verdict in CHANGED:
        text = markdown("**Head is {}.** {}.", comparison.verdict, listed(_deciding(comparison)))
    elif comparison.verdict is ComparisonVerdict.EQUIVALENT:
        where = " where it was judged" if comparison.not_judged else ""
        text = markdown("**Equivalent{}.** Every difference is within the margin of {}.", where, margin)
    else:
        text = markdown(
            "**No difference shown.** No change is both certain and above the margin of {}. {}",
            *(margin, detectable_change(comparison)),
        )
    unknown = [*_suspect_once(comparison), *gaps(comparison, suspect=False)]
    return markdown("{} **Not judged:** {}.", text, "; ".join(unknown)) if unknown else text


def _suspect_once(comparison: Comparison) -> Iterator[str]:
    """Yield the stages that are not judged because they are suspect, in one phrase; the reasons are below."""
    several = has_several(comparison.stages)
    if stages := [place(gap, several=several) for gap in comparison.not_judged if gap.suspect]:
        why = "are suspect and have no repeats" if len(stages) > 1 else "is suspect and has no repeats"
        yield f"{number_format.listed(stages)} {why}"


def _deciding(comparison: Comparison) -> Iterator[Markdown]:
    several = has_several(comparison.stages)
    for stage in comparison.stages:
        for metric in stage.metrics:
            if stage.level is None and metric.verdict is comparison.verdict:
                where, change = place(stage, several=several), signed(metric.name, metric.change)
                yield markdown("{}: {} {}", where, key_heading(metric.name), change)
    yield from _changed_slices(comparison, comparison.verdict, several=several)


def _warning(comparison: Comparison) -> Iterator[Markdown]:
    if comparison.unlike:
        unlike = differences(comparison.unlike)
        yield markdown("**Different machines:** {}. They may cause differences in the results.", unlike)


def differences(rows: Sequence[SideBySide]) -> Markdown:
    """Return what differs, in one line."""
    return join("; ", (markdown("{} {} → {}", row.what, row.base, row.head) for row in rows))


def _same(comparison: Comparison) -> Markdown:
    """Return what is known to be the same program, in one sentence; empty where that is not known."""
    if not comparison.same:
        return EMPTY
    return markdown("The same on both sides, by SHA-256: {}.", join("; ", comparison.same))


def _runs(runs: Sequence[ComparedRun]) -> Markdown:
    if not runs:
        return markdown("no run")
    first = markdown("{} of {}, {}", code(runs[0].id), runs[0].started_at, code(runs[0].command))
    more = number_format.plural(len(runs) - 1, "more run")
    return first if len(runs) == 1 else markdown("{} and {}", first, more)


def changes(rows: Sequence[SideBySide], base: str, head: str, compared: str) -> list[Markdown]:
    """Return a table of what differs apart from the results, or that what was compared is identical."""
    if not rows:
        return [markdown("{} are identical.", compared)]
    cells = [[row.what, row.base, row.head] for row in rows]
    return [markdown("## Other Differences"), table(["Property", base, head], cells, figures=False)]


def _table(stage: ComparedStage, margin: float) -> Markdown:
    rows = []
    for metric in stage.metrics:
        sides = [key_figure(metric.name, value) for value in (metric.base, metric.head)]
        change, *ends = (signed(metric.name, value) for value in (metric.change, metric.low, metric.high))
        word = emphasized(metric.verdict) if metric.judged else markdown("{}", _NOT_JUDGED)
        rows.append(
            [key_heading(metric.name), *sides, change, " to ".join(ends), _detectable(metric, margin), word]
        )
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
        return _share(metric.detectable).replace("%", "pp")
    less = max(margin, metric.detectable / (1 + metric.detectable))
    if less == metric.detectable:
        return _share(less)
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


def _share(value: float) -> str:
    return f"{value * 100:,.{0 if value >= 1 or value * 100 == int(value * 100) else 1}f} %"


def _remarks(comparison: Comparison) -> Iterator[Markdown]:
    for group in alike(comparison.left_out):
        yield markdown("{}: {}.{}", group.places, group.why, group.remark)
    for group in alike(comparison.suspect):
        verb = "are" if group.several else "is"
        yield markdown("{} {} suspect: {}.{}", group.places, verb, group.why, group.remark)
    for side, keys in (("base", comparison.only_in_base), ("head", comparison.only_in_head)):
        for key in keys:
            yield markdown("Only in the {}: {}, {}.", side, *key)


def _method(comparison: Comparison) -> Markdown:
    text = markdown(
        "A metric is better or worse if its interval excludes 0 and its change exceeds the margin of {}. The "
        "intervals hold jointly: of comparisons of equal systems, at most {} report any change.",
        *(_share(comparison.margin), _share(1 - comparison.confidence)),
    )
    if all(metric.basis != Basis.ASSUMED_NOISE for stage in comparison.stages for metric in stage.metrics):
        return text
    return markdown(
        "{} One side has a single run, so the variation between runs is unknown. A deliberately high noise "
        "is assumed, and only large changes are detected. With `repeats: 5`, smaller ones are.",
        text,
    )
