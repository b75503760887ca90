"""The section of a comment that compares a run with its baseline, or states why that is not possible."""

from __future__ import annotations

from runner.analyze.comparison import compare
from runner.core.errors import UsageError
from runner.core.results import Results
from runner.report.comparison import brief_comparison
from runner.report.markdown_text import Markdown, join, markdown


def differences(results: Results, baseline: Results) -> Markdown:
    """Return what is better and worse than the baseline, with a warning if the machines differ."""
    try:
        return brief_comparison(compare([baseline], [results], force=True))
    except UsageError as error:
        reasons = [markdown("- {}.", line) for line in error.details]
        return join("\n\n", [markdown("Not compared: {}.", error.message), *_list(reasons)])


def _list(items: list[Markdown]) -> list[Markdown]:
    return [join("\n", items)] if items else []
