"""The result of running an archive's experiment again, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from runner.core.codes import ComparisonVerdict, ReproductionVerdict
from runner.core.comparison import (
    ChangedLimit,
    ComparedStage,
    Deviation,
    MissingStage,
    ReproducedRun,
    ReproductionResults,
    SearchBracket,
)
from runner.report import number_format
from runner.report.comparison import CHANGED, differences, differing, signed, stage_sections
from runner.report.markdown_text import Markdown, code, join, markdown, table
from runner.report.metric_text import key_heading, key_is_share

_Placed = ComparedStage | Deviation | MissingStage | SearchBracket | ChangedLimit
_VERDICTS: Final[Mapping[ComparisonVerdict | ReproductionVerdict, str]] = {
    ReproductionVerdict.UNKNOWN: "inconclusive",
}
"""Words that people read in place of a verdict's own."""


def render_reproduction(result: ReproductionResults) -> str:
    """Return the whole result as Markdown."""
    parts = [
        markdown("# Reproduction: {}", _word(result.verdict)),
        *_machines(result),
        markdown("> {}", reproduced(result)),
        markdown(
            "Archive: {}, SHA-256 {}  \nNow: {}", _run(result.then), code(result.archive), _run(result.now)
        ),
        *_surroundings(result),
        *_searches(result),
        *_limits(result),
        *(stage_sections(result.comparison) if result.comparison else _not_compared(result)),
    ]
    return join("\n\n", parts) + "\n"


def reproduced(result: ReproductionResults) -> str:
    """Return the result in plain text: reproduced, or not and where."""
    several = len(_configurations(result)) > 1
    limits = "".join(
        f" The verdict of {_place(limit, several=several)} is {limit.now}; in the archive it is {limit.then}."
        for limit in result.limits
    )
    count = number_format.plural(len(result.differs), "difference")
    others = f" There is {count} in host, versions or images." if len(result.differs) == 1 else ""
    if len(result.differs) > 1:
        others = f" There are {count} in host, versions or images."
    if result.verdict is ReproductionVerdict.REPRODUCED:
        return f"Reproduced. {_how_sure(result)}{limits}{others}"
    lead = _word(result.verdict).capitalize()
    return f"{lead}. {'; '.join(_reasons(result, several=several)) or result.why_not}.{limits}{others}"


def _word(verdict: ComparisonVerdict | ReproductionVerdict) -> str:
    return _VERDICTS.get(verdict, verdict)


def _reasons(result: ReproductionResults, *, several: bool) -> Iterator[str]:
    for deviation in (*result.where, *result.doubtful):
        yield f"{_place(deviation, several=several)}: {_deviation(deviation)}"
    for search in result.searches:
        if search.verdict in CHANGED:
            now, then = _rate(search.now[0]), _rate(search.then[0])
            yield f"{_place(search, several=several)}: sustained {now}, in the archive {then}"
    for stage in result.missing:
        yield f"{_place(stage, several=several)}: not measured ({stage.why})"
    for search in result.searches:
        if search.verdict is ReproductionVerdict.UNKNOWN:
            yield f"{_place(search, several=several)}: the search did not finish"


def _run(run: ReproducedRun) -> Markdown:
    return markdown("run {} of {}", code(run.id), run.started_at)


def _how_sure(result: ReproductionResults) -> str:
    """Return the smallest change that these runs could have shown."""
    stages = result.comparison.stages if result.comparison else ()
    metrics = [metric for stage in stages for metric in stage.metrics]
    detectable = [metric.detectable for metric in metrics if metric.name == "duration_ms.p95"]
    if not detectable:
        return "Every search ended between compatible rates."
    low, high = (f"{share * 100:,.0f}" for share in (min(detectable), max(detectable)))
    span = f"{low} %" if low == high else f"{low} % to {high} %, depending on the stage"
    return (
        f"No metric is shown to differ. The smallest p95 change that these runs could have shown is {span}; "
        "repeats make smaller changes detectable."
    )


def _configurations(result: ReproductionResults) -> set[str]:
    stages = result.comparison.stages if result.comparison else ()
    placed: tuple[_Placed, ...] = (*stages, *result.missing, *result.searches, *result.limits)
    return {stage.configuration for stage in placed}


def _place(stage: _Placed, *, several: bool) -> str:
    return f"{stage.configuration}, {stage.stage}" if several else stage.stage


def _deviation(deviation: Deviation) -> str:
    change = signed(deviation.change, share=key_is_share(deviation.metric))
    word = deviation.verdict if deviation.verdict in CHANGED else "but the stage is suspect"
    return f"{key_heading(deviation.metric)} {change} ({word})"


def _rate(value: float | None) -> str:
    return "no rate" if value is None else f"{value:,.0f} RPS"


def _machines(result: ReproductionResults) -> Iterator[Markdown]:
    if result.comparison and result.comparison.unlike:
        yield markdown(
            "> **Different machine:** {}. It may cause differences in the results.",
            differences(result.comparison.unlike),
        )


def _surroundings(result: ReproductionResults) -> list[Markdown]:
    if result.differs:
        return differing(result.differs, "Archive", "Now")
    return [markdown("Host, versions, images and build folders are identical.")]


def _searches(result: ReproductionResults) -> list[Markdown]:
    if not result.searches:
        return []
    rows = [
        [
            _place(search, several=True),
            str(search.repeat),
            *(f"{_rate(passed)} – {_rate(failed)}" for passed, failed in (search.then, search.now)),
            _word(search.verdict),
        ]
        for search in result.searches
    ]
    head = ["Search", "Repeat", "Archive: sustained – failed", "Now", "Verdict"]
    return [markdown("## Searches"), table(head, rows, figures=False)]


def _limits(result: ReproductionResults) -> list[Markdown]:
    if not result.limits:
        return []
    rows = [[_place(limit, several=True), code(limit.then), code(limit.now)] for limit in result.limits]
    return [markdown("## Changed Verdicts"), table(["Stage", "Archive", "Now"], rows, figures=False)]


def _not_compared(result: ReproductionResults) -> list[Markdown]:
    if result.searches:
        return []
    return [markdown("## No Comparison"), markdown("{}.", result.why_not)]
