"""The hooks in a report: a table of those that ran, and a warning for each that failed to tidy up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core.load_results import HookSummary
from runner.core.results import ConfigurationResults
from runner.report.markdown_text import EMPTY, Markdown, code, markdown, table


def hook_table(hooks: Sequence[HookSummary]) -> Markdown:
    """Return a row for each hook; empty without any."""
    rows = [[code(one.path), code(one.what), f"{one.runs:,}", _seconds(one), _outcome(one)] for one in hooks]
    head = ["Hook", "What it does", "Runs", "Duration s", "Result"]
    return table(head, rows, words=(1, 4)) if rows else EMPTY


def failed_tear_down(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield a sentence for each hook that was to remove something, and did not."""
    for one in configuration.hooks or ():
        if one.phase == "teardown" and one.status != "done":
            what = code(one.path)
            why = f": {one.reason}" if one.reason else ""
            yield markdown("**{} did not succeed**{}. What it was to remove may still exist.", what, why)


def _seconds(hook: HookSummary) -> str:
    if hook.runs == 1:
        return f"{hook.median_s:.2f}"
    return f"{hook.median_s:.2f} (median), {hook.longest_s:.2f} (longest)"


def _outcome(hook: HookSummary) -> str:
    if hook.status == "done":
        return "done"
    count = f"{hook.failed} of {hook.runs} " if hook.runs > 1 else ""
    return f"{count}{hook.status}{f': {hook.reason}' if hook.reason else ''}"
