"""What stands on the terminal at the end of a run: the table, the promises, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.cli.terminal import Screen
from runner.report import conclusion, number_format, prose
from runner.report.capacity import shown
from runner.report.markdown_text import unmarked
from runner.report.summary import WORDS, broken_thresholds, summary_rows

_LOG_WIDTH: Final = 160
_MOST_BROKEN: Final = 12
_EXPENDABLE: Final = ("app cores", "achieved", "rate over time")
"""Columns that a narrow terminal has no room for, the first to go first."""


def show_summary(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what every stage came to, on stderr unless there is another console."""
    console = console or Screen()
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    rows = summary_rows(results)
    if not rows:
        return
    console.print(_table(rows, console.width))
    if aborted := prose.aborted(results["run"]):
        console.print(Text(unmarked(aborted), style="red"), soft_wrap=not console.is_terminal)
    for line in _thresholds(results):
        console.print(Text(line, style="" if line.endswith("passed.") else "red"), soft_wrap=True)
    ending = conclusion.conclusion([shown(each) for each in results["configurations"]])
    console.print(Text(unmarked(ending)), soft_wrap=not console.is_terminal)


def _table(rows: list[dict[str, str]], width: int) -> Table:
    columns = _fitting(rows, width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in WORDS else "right")
    for row in rows:
        table.add_row(*(Text(row[column]) for column in columns))
    return table


def _fitting(rows: list[dict[str, str]], width: int) -> list[str]:
    """The columns that there is room for."""
    columns = list(rows[0])
    for expendable in _EXPENDABLE:
        if sum(max(len(name), *(len(row[name]) for row in rows)) + 2 for name in columns) - 2 <= width:
            break
        columns.remove(expendable)
    return columns


def _thresholds(results: Mapping[str, Any]) -> Iterator[str]:
    """Those that failed with what was measured; else how many there were."""
    broken = broken_thresholds(results)
    several = len(results["configurations"]) > 1
    stages = [stage for each in results["configurations"] for stage in each["stages"]]
    judged = sum(len(stage["thresholds"]) for stage in stages)
    if not broken:
        complete = results["run"]["status"] == "complete"
        where = "" if complete else " of the stages that were run"
        if judged:
            yield f"{f'All {judged} thresholds' if judged > 1 else 'The threshold'}{where} passed."
        return
    yield f"{len(broken)} of {number_format.plural(judged, 'threshold')} failed:"
    for each in broken[:_MOST_BROKEN]:
        where = f"{each.configuration}, {each.stage}" if several else each.stage
        yield f"  {each.expr} at {where}: {each.measured}"
    if len(broken) > _MOST_BROKEN:
        yield f"  and {len(broken) - _MOST_BROKEN} more, which are in the report"
