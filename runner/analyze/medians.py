"""What conclusions rest on where stages or searches were repeated: the median of the usable repeats.

Headline, thresholds, comparison, history, comment, JUnit, CSV and terminal take their numbers from here.
Those of single repeats stand in the tables of a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median_low

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.median_stage import median_stage
from runner.core.repeat_results import Capacity, Repeats
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage


def of_medians(configuration: ConfigurationResults) -> ConfigurationResults:
    """Return a configuration with each repeated stage and search once: what conclusions rest on.

    A repeated stage is the median of its repeats, with the thresholds that were judged on it. Of a repeated
    search, the one with the median capacity is left; of an even number, the lower of the two.
    """
    groups = {group.stage: group for group in configuration.repeats}
    searches = _median_searches(configuration.capacity)
    other_probes = _probes(configuration.capacity) - _probes(searches)
    stages: list[Stage] = []
    judged: set[str] = set()
    for stage in configuration.stages:
        if stage.find or stage.name not in groups:
            stages += [] if stage.find and stage.order in other_probes else [stage]
        elif stage.name not in judged:
            judged.add(stage.name)
            stages.append(_judged(groups[stage.name], configuration.stages))
    return replace(configuration, stages=tuple(stages), capacity=searches)


def _judged(group: Repeats, stages: Iterable[Stage]) -> Stage:
    repeats = [stage for stage in stages if stage.name == group.stage and not stage.find]
    judged = group.thresholds
    if judged is UNSET:  # results of a version that judged each repeat
        judged = tuple(result for stage in repeats for result in stage.thresholds)
    return replace(median_stage(repeats), thresholds=judged)


def _median_searches(searches: Sequence[Capacity]) -> tuple[Capacity, ...]:
    """Return one of the repeats of each search; one without a capacity counts as 0."""
    groups: dict[str, list[Capacity]] = {}
    for search in searches:
        groups.setdefault(search.stage, []).append(search)
    return tuple(_median_search(group) for group in groups.values())


def _median_search(group: Sequence[Capacity]) -> Capacity:
    middle = median_low([search.shown_rps or 0.0 for search in group])
    return next(search for search in group if (search.shown_rps or 0.0) == middle)


def _probes(searches: Iterable[Capacity]) -> set[int]:
    return {probe.order for search in searches for probe in search.probes}
