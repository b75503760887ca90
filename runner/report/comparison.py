"""A comparison as Markdown: what else differs, what got better or worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from runner.core.codes import Basis, ComparisonVerdict
from runner.core.comparison import (
    ComparedRun,
    ComparedStage,
    Comparison,
    SideBySide,
)
from runner.core.ramp import Ramp
from runner.report import number_format
from runner.report.alike import alike
from runner.report.comparison_tables import (
    CHANGED,
    brief_table,
    changed_metrics,
    is_not_judged,
    metric_table,
    requests_of,
    share_text,
    signed,
    slices_of,
    verdict_of,
    whole_stages,
)
from runner.report.gaps import detectable_change, gaps
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown, table
from runner.report.metric_text import key_heading
from runner.report.stage_place import has_several, level_heading, levels_of, place

_NAMED: Final = 3
"""Changes that the first sentence names."""


def render_comparison(comparison: Comparison) -> str:
    """Return the whole comparison as Markdown: what changed first, then every metric of every stage."""
    first, details = comparison_parts(comparison)
    return f"{first}\n\n{details}\n"


def comparison_parts(comparison: Comparison) -> tuple[Markdown, Markdown]:
    """Return a comparison in two parts: the result with what changed, and everything that it rests on."""
    rows = [*comparison.unlike, *comparison.changed]
    slices = _changed_slices(comparison, several=has_several(comparison.stages))
    first = [
        markdown("# Comparison"),
        *(markdown("> {}", warning) for warning in _warning(comparison)),
        markdown("> {}", verdict(comparison)),
        *_changed(comparison),
        join("\n", (markdown("- {}", line) for line in slices)),
        markdown("Base: {}  \nHead: {}", _runs(comparison.base), _runs(comparison.head)),
        *_few_differences(comparison),
    ]
    details = [
        *changes(rows, "Base", "Head", "Machine, versions and specification"),
        *filter(None, [_same(comparison)]),
        *stage_sections(comparison),
    ]
    return join("\n\n", filter(None, first)), join("\n\n", details)


def _few_differences(comparison: Comparison) -> list[Markdown]:
    """Return what else differs, in one line; where that is much, how much."""
    rows = comparison.changed
    if not rows:
        return []
    if len(rows) > _NAMED:
        return [markdown("Other differences: {}, listed below.", f"{len(rows):,} properties")]
    return [markdown("Other differences: {}.", differences(rows))]


def _changed(comparison: Comparison) -> list[Markdown]:
    """Return a table of what changed; where nothing did, one of all stages."""
    if changed := changed_metrics(comparison):
        return [markdown("What changed beyond noise:"), changed]
    several = has_several(comparison.stages)
    stages = [(place(stage, several=several), stage) for stage in whole_stages(comparison)]
    if not stages:
        return []
    is_judged = not all(is_not_judged(stage) for _, stage in stages)
    said = "No metric changed beyond noise" if is_judged else "Base and head"
    return [markdown("{}:", said), brief_table(stages, "Stage")]


def stage_sections(comparison: Comparison) -> list[Markdown]:
    """Return a table for each stage, what was left out, and the method."""
    several = has_several(comparison.stages)
    parts: list[Markdown] = []
    for stage in whole_stages(comparison):
        parts += [
            markdown("## {}: {}", place(stage, several=several), verdict_of(stage)),
            metric_table(stage, comparison.margin),
        ]
        if requests := requests_of(comparison, stage):
            parts += [markdown("By request:"), brief_table([(it.request, it) for it in requests], "Request")]
        if slices := slices_of(comparison, stage):
            rows = [(levels_of(it, unit=False), it) for it in slices]
            parts += [markdown("By slice of the ramp:"), brief_table(rows, level_heading(slices))]
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
        brief_table([(place(stage, several=several), stage) for stage in changed], "Stage"),
        join("\n", (markdown("- {}", note) for note in notes)),
        _method(comparison),
    ]
    return join("\n\n", filter(None, parts))


def _changed_slices(
    comparison: Comparison, only: ComparisonVerdict | None = None, *, several: bool
) -> Iterator[Markdown]:
    """Yield the metrics that changed in slices of a ramp, with the levels and changes of all such slices."""
    for stage in whole_stages(comparison):
        slices = slices_of(comparison, stage)
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


def verdict(comparison: Comparison) -> Markdown:
    """Return the result in one sentence."""
    margin = share_text(comparison.margin)
    if comparison.stages and all(map(is_not_judged, comparison.stages)):
        text = markdown("Nothing can be called better or worse.")
    elif comparison.verdict in CHANGED:
        text = markdown("**Head is {}.** {}.", comparison.verdict, listed(_first(_deciding(comparison))))
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


def _first(changed: Iterable[Markdown]) -> list[Markdown]:
    """Return the first few changes, and how many others there are."""
    known = [*changed]
    more = len(known) - _NAMED
    others = [markdown("{}", number_format.plural(more, "more change"))] if more > 0 else []
    return [*known[:_NAMED], *others]


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
        *(share_text(comparison.margin), share_text(1 - comparison.confidence)),
    )
    if all(metric.basis != Basis.ASSUMED_NOISE for stage in comparison.stages for metric in stage.metrics):
        return text
    return markdown(
        "{} One side has a single run, so the variation between runs is unknown. A deliberately high noise "
        "is assumed, and only large changes are detected. With `repeats: 5`, smaller ones are.",
        text,
    )
