"""The counter-experiments of a configuration: the rates of their blocks, and what they show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.core.codes import ProofAnswer
from runner.core.results import ConfigurationResults
from runner.core.stage_results import CounterExperiment
from runner.core.units import percent
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, Section, markdown, table

_HEAD: Final = (
    "Stage", "Change", "Target RPS", "RPS without the change", "RPS with it", "Gain", "Spread without it",
    "Result",
)  # fmt: skip
_ABOUT_CAUSE: Final = frozenset({ProofAnswer.CONFIRMED, ProofAnswer.REFUTED})
_METHOD: Final = (
    "Blocks without and with the change alternate, because the speed of a machine drifts; each column has "
    "its own in the order in which they ran. They offer about twice the throughput that the stage reached, "
    "however much more the stage offered, so that requests do not time out. The spread is the largest "
    "difference between blocks without the change; a gain of less than twice the spread shows nothing."
)


def counter_experiments(configuration: ConfigurationResults) -> Section | None:
    """Return a table of all blocks, why some of them show nothing, and why other stages have none.

    None where none was due.
    """
    experiments = [(stage, one) for stage in configuration.stages for one in stage.verdict.experiments]
    rows = [[stage.title, *_cells(one)] for stage, one in experiments]
    lines = [markdown("{}: {}", stage.title, one.sentence) for stage, one in experiments if _needs_words(one)]
    lines += [markdown("{}: {}.", stages, reason) for stages, reason in unproven(configuration)]
    if not lines and not rows:
        return None
    has_blocks = any(one.blocks for _, one in experiments)
    return Section(
        table=table(_HEAD, rows) if rows else EMPTY,
        method=markdown("{}", _METHOD) if has_blocks else EMPTY,
        lines=tuple(lines),
    )


def _needs_words(experiment: CounterExperiment) -> bool:
    """Return whether the table does not say it all; the analysis of the stage has the sentence as well."""
    return experiment.lift is None or experiment.answer is ProofAnswer.INCONCLUSIVE


def unproven(configuration: ConfigurationResults) -> list[tuple[str, str]]:
    """Return stages without a counter-experiment, those with the same reason together, and the reason."""
    by_reason: dict[str, list[str]] = {}
    for stage in configuration.stages:
        if reason := stage.verdict.unproven:
            by_reason.setdefault(reason, []).append(stage.title)
    return [(number_format.listed(titles), reason) for reason, titles in by_reason.items()]


def _cells(experiment: CounterExperiment) -> Iterator[str | Markdown]:
    yield experiment.words
    yield "" if experiment.target_rps is None else number_format.rate(experiment.target_rps)
    yield _rates(experiment, changed=False)
    yield _rates(experiment, changed=True)
    yield "" if experiment.lift is None else percent(experiment.lift, signed=True)
    yield "" if experiment.spread is None else percent(experiment.spread)
    shows = f": {experiment.cause}" if experiment.answer in _ABOUT_CAUSE else ""
    yield markdown("**{}**{}", experiment.answer, shows)


def _rates(experiment: CounterExperiment, *, changed: bool) -> str:
    """Return the throughput of each block of a side that counts; the only one of older versions."""
    if not experiment.blocks:
        return number_format.rate(experiment.actual_rps[changed])
    used = (block for block in experiment.blocks if block.used and block.changed is changed)
    return ", ".join(number_format.rate(block.actual_rps) for block in used)
