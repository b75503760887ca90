"""Nothing that is printed or rendered from results has power over a terminal or a CI system.

Every string of results, comparisons and histories, found by walking their types, holds the hostile text.
"""

import csv
import io
import re
from functools import cache
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from runner.cli.summary import show_summary
from runner.core.comparison import Comparison, History, ReproductionResults
from runner.core.results import Results
from runner.report.comparison import brief_comparison, render_comparison
from runner.report.csv_table import render_csv
from runner.report.history import render_history
from runner.report.junit import render_junit
from runner.report.markdown import render_markdown
from runner.report.reproduction import render_reproduction
from tests.report.made_from_types import Text, made, rewritten
from tests.report.stored_results import stored

COMMAND = re.compile(r"(?m)^\s*::|##\[|##vso\[|##teamcity\[")
NEAREST = ("- x &lt; 1) $y$ http://evil.example", "www.evil.example_x_")
LONG = "x" * 150
HOSTILE = {
    "command": "::error::stolen",
    "command after spaces": "  ::add-mask::x",
    "command in the middle": "a ##[error]x ##vso[task.complete] ##teamcity[x]",
    "command after a line break": "a\n::error::stolen\r::warning::x\u2028::notice::x",
    "command where a cell wraps": f"{LONG} ::error::stolen {LONG} ##[error]x",
    "command where narrow cells wrap": " ".join(f"{'y' * width} ::error::x" for width in range(1, 40)),
    "escape sequences": "\x1b[31mred\x1b]0;title\x07\x1b[2J\x9b31m\x9d0;t\x9c",
    "control characters": "".join(map(chr, [*range(32), 127, *range(128, 160)])),
    "bidirectional": "a\u202eb\u2066c\u2069\u200f\u061c\u200b\ufeff",
    "rich markup": "[red]x[/red] [link=http://evil.example]y[/link] [/]",
    "a formula": "=cmd|' /C calc'!A0",
    "NUL": "a\x00b",
    "very long": "long " * 1_000,
    "very long without spaces": "z" * 5_000,
}
MARKDOWN = {
    "report": (Results, render_markdown),
    "comparison": (Comparison, render_comparison),
    "brief comparison": (Comparison, brief_comparison),
    "history": (History, render_history),
    "reproduction": (ReproductionResults, render_reproduction),
}


@cache
def values(cls: type, text: str) -> list[object]:
    """Values of a type with the text wherever it has a string; they take longer to make than to render."""
    hostile = Text(text, *NEAREST)
    runs = ["quickstart"] if cls is Results else []
    return [
        made(cls, hostile, list(HOSTILE.values()).index(text)),
        *(rewritten(stored(run), hostile) for run in runs),
    ]


@pytest.mark.parametrize("columns", [80, None])
@pytest.mark.parametrize("name", HOSTILE)
def test_the_summary_has_no_control_character_and_no_command(name, columns):
    for results in values(Results, HOSTILE[name]):
        file = io.StringIO()
        is_terminal = columns is not None
        show_summary(
            results,
            Console(file=file, width=columns, force_terminal=is_terminal, color_system=None, highlight=False),
        )
        lines = file.getvalue().split("\n")

        assert [line for line in lines if not line.isprintable()] == []
        assert is_terminal or [line for line in lines if COMMAND.search(line)] == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_in_a_log_is_no_command(name, text):
    cls, render = MARKDOWN[name]
    for value in values(cls, text):
        assert not COMMAND.search(render(value))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_files_for_programs_are_well_formed(text):
    for results in values(Results, text):
        rows = list(csv.reader(io.StringIO(render_csv(results), newline="")))
        ET.fromstring(render_junit(results))

        assert len({len(row) for row in rows}) == 1
        assert not any(cell.startswith(("=", "@", "\t", "\r")) for row in rows for cell in row)
