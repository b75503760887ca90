"""The summary on the terminal at the end of a run: table, thresholds and conclusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from runner.analyze.medians import of_medians
from runner.cli.terminal import screen, visible
from runner.core.results import Results
from runner.report import conclusion, number_format, programs, prose
from runner.report.capacity import shown
from runner.report.counter_experiments import unproven
from runner.report.markdown_text import unmarked
from runner.report.summary import TEXT_COLUMNS, broken_thresholds, doubts, summary_rows

_LOG_WIDTH: Final = 160
_MAX_BROKEN: Final = 12
_EXPENDABLE: Final = ("app cores", "achieved", "rate over time")
"""Columns that a narrow terminal omits, in this order."""


def show_summary(results: Results, console: Console | None = None) -> None:
    """Print the results of every stage, on stderr unless another console is given."""
    console = console or screen()
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    rows = summary_rows(results)
    if not rows:
        return
    _print_table(_table(rows, console.width), console)
    if aborted := prose.aborted(results.run):
        console.print(visible(unmarked(aborted), "red"), soft_wrap=not console.is_terminal)
    for line, style in _thresholds(results):
        console.print(visible(line, style), soft_wrap=True)
    for line in _unproven(results):
        console.print(visible(line), soft_wrap=True)
    for line in doubts(results):
        console.print(visible(line), soft_wrap=True)
    for line in programs.terminal_lines(results.configurations):
        console.print(visible(line), soft_wrap=True)
    ending = conclusion.conclusion([shown(configuration) for configuration in results.configurations])
    console.print(visible(unmarked(ending)), soft_wrap=not console.is_terminal)


def _print_table(table: Table, console: Console) -> None:
    """Print a table; in a log, each line is made safe again: it may begin inside a wrapped text."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.print(visible(line), soft_wrap=True)


def _unproven(results: Results) -> Iterator[str]:
    """Yield why stages have no counter-experiment although they were asked for."""
    for configuration in results.configurations:
        several = f"{configuration.name}, " if len(results.configurations) > 1 else ""
        for stages, reason in unproven(configuration):
            yield f"No counter-experiment for {several}{stages}: {reason}."


def _table(rows: Sequence[dict[str, str]], width: int) -> Table:
    columns = _fitting(rows, width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in TEXT_COLUMNS else "right")
    for row in rows:
        table.add_row(*(visible(row[column]) for column in columns))
    return table


def _fitting(rows: Sequence[dict[str, str]], width: int) -> list[str]:
    """Return the columns that fit into the width."""
    columns = list(rows[0])
    for expendable in _EXPENDABLE:
        if sum(max(len(name), *(len(row[name]) for row in rows)) + 2 for name in columns) - 2 <= width:
            break
        columns.remove(expendable)
    return columns


def _thresholds(results: Results) -> Iterator[tuple[str, str]]:
    """Return lines and their styles: the thresholds that failed with their values, or how many passed."""
    stages = [stage for one in results.configurations for stage in of_medians(one).stages]
    total = sum(len(stage.thresholds) for stage in stages)
    broken = broken_thresholds(results)
    if not broken:
        where = "" if results.run.status == "complete" else " of the completed stages"
        if total:
            yield f"{f'All {total} thresholds' if total > 1 else 'The threshold'}{where} passed.", ""
        return
    several = len(results.configurations) > 1
    yield f"{len(broken)} of {number_format.plural(total, 'threshold')} failed:", "red"
    for threshold in broken[:_MAX_BROKEN]:
        where = f"{threshold.configuration}, {threshold.stage}" if several else threshold.stage
        yield f"  {threshold.expr} at {where}: {threshold.measured}", "red"
    if len(broken) > _MAX_BROKEN:
        yield f"  and {len(broken) - _MAX_BROKEN} more, which are in the report", "red"
