"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.report.summary import summary_rows

_LOG_WIDTH = 160


def show_summary(results: Mapping[str, Any]) -> None:
    """Print what every stage came to, on stderr."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    rows = summary_rows(results)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(
            column, justify="left" if column in {"configuration", "stage", "verdict"} else "right"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    console.print(table)
