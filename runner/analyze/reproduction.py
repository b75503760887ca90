"""Whether a rerun of an archived experiment has the same results as the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from runner.analyze.comparison import MARGIN, compare
from runner.analyze.key_metrics import PartKey, is_usable, stages_by_name
from runner.core.codes import ComparisonVerdict, ReproductionVerdict, SearchEnding
from runner.core.comparison import (
    ChangedLimit,
    Comparison,
    Deviation,
    MissingStage,
    ReproductionResults,
    RunSummary,
    SearchBracket,
    SideBySide,
    TooLittleData,
)
from runner.core.errors import UsageError
from runner.core.repeat_results import Capacity
from runner.core.results import Results
from runner.core.stage_results import Stage

SCHEMA_VERSION: Final = 1
_SHOWN: Final = frozenset({ComparisonVerdict.BETTER, ComparisonVerdict.WORSE})
_DECIDING: Final = ("actual_rps", "duration_ms.p95")
_DOUBLED: Final = 1.0


def reproduction(
    then: Results,
    now: Results,
    *,
    differs: Sequence[SideBySide] = (),
    identity: str = "",
    margin: float = MARGIN,
) -> ReproductionResults:
    """Return how the results of a rerun differ from those of its archive.

    The measurements decide; a different verdict is listed and decides nothing.

    Args:
        then: The archive's results.
        now: Those of the rerun.
        differs: How the environments differ.
        identity: The archive's.
        margin: As for `compare`.
    """
    comparison, why_not = _compared(then, now, margin)
    deviations = tuple(_deviations(comparison)) if comparison else ()
    results = ReproductionResults(
        schema_version=SCHEMA_VERSION,
        archive=identity,
        then=RunSummary(then.run.id, then.run.started_at, then.run.status),
        now=RunSummary(now.run.id, now.run.started_at, now.run.status),
        verdict=ReproductionVerdict.UNKNOWN,
        differs=tuple(differs),
        where=tuple(deviation for deviation in deviations if deviation.verdict in _SHOWN),
        doubtful=tuple(deviation for deviation in deviations if deviation.verdict not in _SHOWN),
        missing=tuple(_missing(then, now)),
        searches=tuple(_searches(then, now, margin)),
        limits=tuple(_limits(then, now)),
        comparison=comparison,
        why_not=why_not,
        too_little_data=tuple(_too_little_data(comparison, then, now)) if comparison else (),
    )
    return replace(results, verdict=_verdict(results))


def _verdict(results: ReproductionResults) -> ReproductionVerdict:
    """Return whether the measurements are reproduced.

    They are if every stage that the archive measured was measured again, no key metric is shown to differ
    although a change by a factor of two would have been, and the results of every search overlap. If a metric
    of a suspect stage differs, or a stage has too little data to show a change, the answer is unknown.
    """
    searches = [search.verdict for search in results.searches]
    if results.where or not _SHOWN.isdisjoint(searches):
        return ReproductionVerdict.NOT_REPRODUCED
    too_little_data = any(stage.is_whole for stage in results.too_little_data)
    unknown = (
        results.missing or results.doubtful or too_little_data or ReproductionVerdict.UNKNOWN in searches
    )
    if unknown or not (results.comparison or searches):
        return ReproductionVerdict.UNKNOWN
    return ReproductionVerdict.REPRODUCED


def _compared(then: Results, now: Results, margin: float) -> tuple[Comparison | None, str]:
    try:
        return compare([then], [now], margin=margin, force=True), ""
    except UsageError as error:
        return None, "; ".join([error.message, *error.details])


def _deviations(comparison: Comparison) -> Iterator[Deviation]:
    """Yield metrics whose interval excludes 0, including those not judged because their stage is suspect."""
    for stage in comparison.stages:
        for metric in stage.metrics:
            part = PartKey.at(stage)._asdict()
            significant = metric.low > 0 or metric.high < 0
            if metric.verdict in _SHOWN or (significant and abs(metric.change) > comparison.margin):
                place = (stage.configuration, stage.stage, metric.name)
                yield Deviation(*place, metric.change, metric.verdict, **part)


def _too_little_data(comparison: Comparison, then: Results, now: Results) -> Iterator[TooLittleData]:
    """Yield where equal results show nothing: rate or p95 could have doubled unnoticed.

    Slices have few requests each; the whole ramp decides whether there is enough data.
    """
    sides = [stages_by_name(results) for results in (then, now)]
    for stage in comparison.stages:
        if stage.level is not None:
            continue
        judged = [metric for metric in stage.metrics if metric.name in _DECIDING]
        least = max(judged, key=lambda metric: metric.detectable, default=None)
        if least is not None and least.detectable > _DOUBLED:
            repeats = [one for side in sides for one in side[stage.configuration, stage.stage]]
            measured = [one.parts[stage.request] if stage.request else one for one in repeats]
            yield TooLittleData(
                *(stage.configuration, stage.stage, least.name, least.detectable),
                min(one.requests.scheduled for one in measured),
                request=stage.request,
            )


def _missing(then: Results, now: Results) -> Iterator[MissingStage]:
    now_by_name = stages_by_name(now)
    for key, stages in stages_by_name(then).items():
        repeated = now_by_name.get(key, [])
        if any(map(is_usable, stages)) and not any(map(is_usable, repeated)):
            reasons = "; ".join(repeated[0].validity.reasons) if repeated else "it was not run"
            yield MissingStage(*key, reasons or f"status {repeated[0].status}")


def _searches(then: Results, now: Results, margin: float) -> Iterator[SearchBracket]:
    """Yield each search of the archive with that of the rerun; they agree if their ranges overlap."""
    now_by_name = dict(_all_searches(now))
    for key, before in _all_searches(then):
        if before.ending is SearchEnding.STOPPED:
            continue
        after = now_by_name.get(key)
        yield SearchBracket(
            *key,
            then=(before.held_rps, before.failed_rps),
            now=(after.held_rps, after.failed_rps) if after else (None, None),
            verdict=_moved(before, after, margin),
            unit=before.unit,
        )


def _all_searches(results: Results) -> Iterator[tuple[tuple[str, str, int], Capacity]]:
    for configuration in results.configurations:
        for search in configuration.capacity:
            yield (configuration.name, search.stage, search.repeat), search


def _moved(
    before: Capacity, after: Capacity | None, margin: float
) -> ComparisonVerdict | ReproductionVerdict:
    if after is None or after.ending is SearchEnding.STOPPED:
        return ReproductionVerdict.UNKNOWN
    if _above(after, before, margin):
        return ComparisonVerdict.BETTER
    return ComparisonVerdict.WORSE if _above(before, after, margin) else ComparisonVerdict.NOT_SHOWN


def _above(one: Capacity, other: Capacity, margin: float) -> bool:
    """Return whether the range of one capacity is above that of the other by more than the margin."""
    failed = None if other.ending is SearchEnding.MASKED else other.failed_rps
    sustained = one.held_rps or 0.0
    return failed is not None and sustained > failed * (1 + margin)


def _limits(then: Results, now: Results) -> Iterator[ChangedLimit]:
    """Yield the stages whose verdict is a different limit in the rerun."""
    now_by_name = stages_by_name(now)
    for key, stages in stages_by_name(then).items():
        before, after = _limits_of(stages), _limits_of(now_by_name.get(key, []))
        if before and after and before != after:
            yield ChangedLimit(*key, then=before, now=after)


def _limits_of(stages: Sequence[Stage]) -> str:
    return ", ".join(sorted({stage.verdict.code for stage in stages if is_usable(stage)}))
