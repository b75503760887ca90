"""The result of a rerun, as Markdown and as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runner.core.codes import ComparisonVerdict, RateUnit, ReproductionVerdict
from runner.core.comparison import Deviation, ReproductionResults, TooLittleData
from runner.report import number_format
from runner.report.comparison import changes, differences, stage_sections
from runner.report.comparison_tables import CHANGED, signed
from runner.report.gaps import detectable_change
from runner.report.markdown_text import Markdown, code, join, markdown, table
from runner.report.metric_text import key_heading
from runner.report.number_format import listed
from runner.report.stage_place import has_several, place

_VERDICTS: Final[Mapping[ComparisonVerdict | ReproductionVerdict, str]] = {
    ReproductionVerdict.UNKNOWN: "inconclusive"
}
"""Words shown instead of a verdict's own."""
_MAX_PERCENT: Final = 10_000
"""A larger detectable change is not written out."""


def render_reproduction(result: ReproductionResults) -> str:
    """Return the whole result as Markdown."""
    then, now = (markdown("run {} of {}", code(run.id), run.started_at) for run in (result.then, result.now))
    parts = [
        markdown("# Reproduction: {}", _word(result.verdict)),
        *_machines(result),
        markdown("> {}", reproduced(result)),
        markdown("Archive: {}, SHA-256 {}  \nNow: {}", then, code(result.archive), now),
        *changes(result.differs, "Archive", "Now", "Host, versions, images and build folders"),
        *_searches(result),
        *_limits(result),
        *_compared(result),
    ]
    return join("\n\n", parts) + "\n"


def reproduced(result: ReproductionResults) -> str:
    """Return the result in plain text: reproduced, or not and where."""
    stages = result.comparison.stages if result.comparison else ()
    several = has_several((*stages, *result.missing, *result.searches, *result.limits))
    limits = "".join(
        f" The verdict of {place(limit, several=several)} is {limit.now}; in the archive it is {limit.then}."
        for limit in result.limits
    )
    number = len(result.differs)
    count = number_format.plural(number, "difference")
    others = (
        f" There {'is' if number == 1 else 'are'} {count} in host, versions, images or code."
        if number
        else ""
    )
    if result.verdict is ReproductionVerdict.REPRODUCED:
        return f"Reproduced. {_how_sure(result)}{limits}{others}"
    lead = _word(result.verdict).capitalize()
    reasons = "; ".join(_reasons(result, several=several)) or result.why_not
    return f"{lead}. {_nothing_shown(result)}{reasons}.{_advice(result)}{limits}{others}"


def _word(verdict: ComparisonVerdict | ReproductionVerdict) -> str:
    return _VERDICTS.get(verdict, verdict)


def _reasons(result: ReproductionResults, *, several: bool) -> Iterator[str]:
    for deviation in (*result.where, *result.doubtful):
        yield f"{place(deviation, several=several)}: {_deviation(deviation)}"
    for search in result.searches:
        if search.verdict in CHANGED:
            now, then = (_rate(rates[0], search.unit) for rates in (search.now, search.then))
            yield f"{place(search, several=several)}: sustained {now}, in the archive {then}"
    for stage in result.missing:
        yield f"{place(stage, several=several)}: not measured ({stage.why})"
    for search in result.searches:
        if search.verdict is ReproductionVerdict.UNKNOWN:
            yield f"{place(search, several=several)}: the search did not finish"
    for weak in _without_power(result):
        yield f"{place(weak, several=several)}: {_power(weak)}"


def _how_sure(result: ReproductionResults) -> str:
    """Return the smallest change that these runs could have shown."""
    change = detectable_change(result.comparison) if result.comparison else ""
    if not change:
        return "Every search ended between compatible rates."
    parts = [stage for stage in result.too_little_data if stage.request]
    few = listed([f"{names} at {stage}" for stage, names in _by_stage(parts).items()])
    unknown = f" Nothing can be said about {few}, which had too few requests." if few else ""
    return f"No metric is shown to differ. {change} Repeats make smaller changes detectable.{unknown}"


def _by_stage(parts: Sequence[TooLittleData]) -> dict[str, str]:
    """Return each stage, with its configuration where there are several, to the requests in it."""
    requests: dict[str, list[str]] = {}
    several = has_several(parts)
    for part in parts:
        stage = f"{part.stage} of {part.configuration}" if several else part.stage
        requests.setdefault(stage, []).append(part.request)
    return {stage: listed(list(dict.fromkeys(names))) for stage, names in requests.items()}


def _without_power(result: ReproductionResults) -> list[TooLittleData]:
    """Return the stages whose equal results show nothing; empty if something is shown to differ."""
    if result.verdict is not ReproductionVerdict.UNKNOWN:
        return []
    return [stage for stage in result.too_little_data if not stage.request]


def _nothing_shown(result: ReproductionResults) -> str:
    """Return that no difference was seen; empty if one was."""
    if result.doubtful or not _without_power(result):
        return ""
    return "No metric is shown to differ, but these runs could not have shown a doubling. "


def _advice(result: ReproductionResults) -> str:
    """Return what makes smaller changes detectable, where that is needed."""
    if not _without_power(result):
        return ""
    return " Longer stages, higher rates and more repeats make smaller changes detectable."


def _power(stage: TooLittleData) -> str:
    """Return the smallest change that could have been shown."""
    metric, percent = key_heading(stage.metric).removesuffix(" (ms)"), stage.detectable * 100
    change = f"{percent:,.0f} %" if percent <= _MAX_PERCENT else f"over {_MAX_PERCENT:,} %"
    requests = number_format.plural(stage.requests, "request")
    return f"the smallest detectable change in {metric} is {change}, with {requests}"


def _deviation(deviation: Deviation) -> str:
    change = signed(deviation.metric, deviation.change)
    word = deviation.verdict if deviation.verdict in CHANGED else "but the stage is suspect"
    return f"{key_heading(deviation.metric)} {change} ({word})"


def _rate(value: float | None, unit: RateUnit) -> str:
    if value is None:
        return "no rate"
    return f"{number_format.rate(value) if unit is RateUnit.USERS else f'{value:,.0f}'} {unit}"


def _machines(result: ReproductionResults) -> Iterator[Markdown]:
    if result.comparison and result.comparison.unlike:
        unlike = differences(result.comparison.unlike)
        yield markdown("> **Different machine:** {}. It may cause differences in the results.", unlike)


def _searches(result: ReproductionResults) -> list[Markdown]:
    if not result.searches:
        return []
    rows = []
    for search in result.searches:
        brackets = [
            f"{_rate(low, search.unit)} – {_rate(high, search.unit)}"
            for low, high in (search.then, search.now)
        ]
        rows.append([place(search), str(search.repeat), *brackets, _word(search.verdict)])
    head = ["Search", "Repeat", "Archive: sustained – failed", "Now", "Verdict"]
    return [markdown("## Searches"), table(head, rows, figures=False)]


def _limits(result: ReproductionResults) -> list[Markdown]:
    if not result.limits:
        return []
    rows = [[place(limit), code(limit.then), code(limit.now)] for limit in result.limits]
    return [markdown("## Changed Verdicts"), table(["Stage", "Archive", "Now"], rows, figures=False)]


def _compared(result: ReproductionResults) -> list[Markdown]:
    if result.comparison:
        return stage_sections(result.comparison)
    return [] if result.searches else [markdown("## No Comparison"), markdown("{}.", result.why_not)]
