"""What changed against a baseline, for a comment: the comparison in few lines, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from runner.analyze.comparison import compare
from runner.core.errors import UsageError
from runner.report.comparison import brief_comparison
from runner.report.markdown_text import escape

Results: TypeAlias = Mapping[str, Any]
Compare: TypeAlias = Callable[[Results, Results], str]
"""From this run and its baseline to a section of Markdown."""


def differences(results: Results, baseline: Results) -> str:
    """What is better and worse than the baseline; unlike machines are compared, and it says so."""
    try:
        return brief_comparison(compare([baseline], [results], force=True))
    except UsageError as error:
        reasons = "".join(f"\n- {escape(line)}." for line in error.details)
        return f"Not compared: {escape(error.message)}.\n{reasons}".rstrip()
