"""The summary on the terminal at the end of a run: table, verdict, other programs, thresholds and doubts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from runner.cli.stage_table import stage_table
from runner.cli.terminal import screen, visible
from runner.core.codes import Limit, StageStatus
from runner.core.results import ConfigurationResults, Results
from runner.report import programs, prose
from runner.report.conclusion import beside_headline
from runner.report.counter_experiments import unproven
from runner.report.headline import Headline, headline
from runner.report.markdown_text import unmarked
from runner.report.summary import doubts, summary_rows
from runner.report.threshold_lines import threshold_lines

_LOG_WIDTH: Final = 160
_MAX_FAILED: Final = 12
_CPU_LIMITS: Final = frozenset(
    {
        Limit.HOST_CPU,
        Limit.APP_CPU,
        Limit.APP_QUOTA,
        Limit.PROXY_CPU,
        Limit.FORWARDER,
        Limit.GENERATOR,
        Limit.SERVICE,
    }
)
"""Limits whose part may be short of CPU."""


def show_summary(results: Results, console: Console | None = None) -> None:
    """Print what a run found, on stderr unless another console is given; no line repeats another one.

    A terminal gets lines that are broken between words; a log gets each sentence on a line of its own.
    """
    console = console or screen()
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    rows = summary_rows(results)
    if not rows:
        return
    table = stage_table(rows, console.width)
    if isinstance(table, Table):
        _print_table(table, console)
    else:
        for part in table:
            console.print(part, soft_wrap=not console.is_terminal)
    if console.is_terminal:
        console.print()
    for line, style in _lines(results):
        console.print(visible(line, style), soft_wrap=not console.is_terminal)


def _lines(results: Results) -> Iterator[tuple[str, str]]:
    """Yield the lines below the table with their styles, the most important ones first."""
    if aborted := prose.aborted(results.run):
        yield unmarked(aborted), "red"
    first = headline(results)
    yield first.sentence, "bold"
    plain = [*_cpu(first), *programs.terminal_lines(results.configurations)]
    yield from ((line, "") for line in plain)
    yield from _thresholds(results)
    yield from ((line, "") for line in (*doubts(results), *_unproven(results), *_more(results)))


def _print_table(table: Table, console: Console) -> None:
    """Print a table; in a log, each line is made safe again: it may begin inside a wrapped text."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.print(visible(line.rstrip()), soft_wrap=True)


def _cpu(first: Headline) -> Iterator[str]:
    """Yield the CPU of the part that limits, where CPU may be the limit."""
    if first.cpu and first.limit in _CPU_LIMITS:
        yield f"{first.cpu.name} at {first.cpu.at}: {first.cpu.text}."


def _unproven(results: Results) -> Iterator[str]:
    """Yield why limits have no counter-experiment although they were asked for."""
    for configuration in results.configurations:
        limited = [one for one in configuration.stages if one.verdict.code is not Limit.WITHIN_CAPACITY]
        several = f"{configuration.name}, " if len(results.configurations) > 1 else ""
        for stages, reason in unproven(replace(configuration, stages=tuple(limited))):
            yield f"No counter-experiment for {several}{stages}: {reason}."


def _more(results: Results) -> Iterator[str]:
    """Yield what else follows from all configurations."""
    if text := unmarked(beside_headline(results.configurations)):
        yield text


def _thresholds(results: Results) -> Iterator[tuple[str, str]]:
    """Yield a line for each threshold that failed, or one that all passed."""
    lines = threshold_lines(results)
    failed = [line for line in lines if not line.ok]
    whole = results.run.status == "complete"
    judged = lines if whole else threshold_lines([_completed(one) for one in results.configurations])
    if judged and not failed:
        where = "" if whole else " of the completed stages"
        yield f"{f'All {len(judged)} thresholds' if len(judged) > 1 else 'The threshold'}{where} passed.", ""
    for line in failed[:_MAX_FAILED]:
        yield f"Threshold failed: {line.text}", "red"
    if len(failed) > _MAX_FAILED:
        yield f"{len(failed) - _MAX_FAILED} more thresholds failed; they are in the report.", "red"


def _completed(configuration: ConfigurationResults) -> ConfigurationResults:
    """Return a configuration without the stages that did not come to their end."""
    stages = tuple(stage for stage in configuration.stages if stage.status is StageStatus.COMPLETE)
    return replace(configuration, stages=stages)
