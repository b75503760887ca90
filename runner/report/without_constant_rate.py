"""Sentences about stages that do not offer one constant rate: ramps, and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, markdown
from runner.report.metric_text import levels
from runner.report.prose import throughput, title
from runner.report.ramps import crossing
from runner.report.stage_choice import believed, measured


def ramps_in(configurations: Sequence[ConfigurationResults]) -> Iterator[tuple[ConfigurationResults, Stage]]:
    """Yield the ramps of the rate that conclusions may rest on."""
    for configuration in configurations:
        yield from (
            (configuration, stage) for stage in measured(believed(configuration.stages)) if stage.rate_ramp
        )


def with_users(
    configurations: Sequence[ConfigurationResults],
) -> Iterator[tuple[ConfigurationResults, Stage]]:
    """Yield the stages with users that conclusions may rest on."""
    for configuration in configurations:
        ran = measured(believed(configuration.stages))
        yield from ((configuration, stage) for stage in ran if stage.users is not None)


def users_sentence(configuration: ConfigurationResults, stage: Stage, *, several: bool) -> Markdown:
    """Return the throughput that users got; it is the result of the closed model."""
    name = markdown("**{}:** ", title(configuration)) if several else EMPTY
    return markdown("{}{}.", name, throughput(stage))


def ramp_sentence(configuration: ConfigurationResults, stage: Stage, *, several: bool) -> Markdown:
    """Return where a ramp passed its first threshold, or else how much of it was sustained."""
    name = (
        markdown("**{}**, {}", title(configuration), levels(stage))
        if several
        else markdown("{}", levels(stage))
    )
    crossed = [result for result in stage.thresholds if result.level is not UNSET]
    if crossed:
        first = min(crossed, key=lambda result: _since_begin(stage, result.level or 0.0))
        return markdown("{}: {}.", name, crossing(first, stage))
    return markdown("{}: the service sustained {:share} of the ramp.", name, stage.achieved)


def _since_begin(stage: Stage, level: float) -> float:
    """Return how far a level is from the one at which a ramp begins."""
    return abs(level - stage.rate_ramp.begin) if stage.rate_ramp else 0.0


def throughput_of(stage: Stage) -> str:
    """Return the highest throughput of a stage, in scenarios where it has some."""
    highest = number_format.rate(highest_throughput(stage))
    return f"{highest} scenarios per second" if stage.scenarios else f"{highest} RPS"


def highest_throughput(stage: Stage) -> float | None:
    """Return the throughput in RPS, or in scenarios per second where there are some.

    Of a ramp, that of the slice where it was highest: the average over all levels says little.
    """
    parts = [stage.slice(place) for place in range(len(stage.slices))] or [stage]
    known = [part.scenarios_per_s if stage.scenarios else part.actual_rps for part in parts]
    return max((rate for rate in known if rate is not None), default=None)


def level_phrase(stage: Stage) -> str:
    """Return the level of a stage as a part of a sentence: ``at 100 RPS``, ``with 16 users``."""
    if stage.level_ramp:
        return f"in the ramp from {levels(stage)}"
    return f"{'at' if stage.users is None else 'with'} {levels(stage)}"
