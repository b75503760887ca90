"""`runner runs`: the runs in a folder, newest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli.output import answer, put, say

if TYPE_CHECKING:  # a command imports what it needs when it runs
    from runner.core.results import Results
    from runner.store.run_summary import RunSummary

FORMATS: Final = ("text", "json")
_SLOW: Final = 200
"""More runs than this are announced before they are read."""
_SHOWN: Final = 100
"""On a terminal, whose older lines scroll away."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="reports")
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--all", "every", is_flag=True, help=f"Not only the newest {_SHOWN}, which a terminal shows.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
def runs(folder: Path, experiment: str | None, limit: int | None, every: bool, form: str) -> None:
    r"""List the runs in FOLDER, newest first: verdict, rate, p95 and failed thresholds. Default: reports.

    The rate is the highest sustained one; with a ~, the highest throughput of a run that sustained none.
    A run whose specification differs from that of the run before it on the same kind of machine is marked.
    Runs that are damaged, were interrupted or are in progress are listed as what they are.

    \b
    Example:
      runner runs reports --experiment checkout --limit 10
    """
    from runner.cli.runs_table import lines
    from runner.store.run_index import list_runs
    from runner.store.run_index_scan import check_folder

    check_folder(folder)
    rows = list_runs(folder, _results_of, _announce)
    found = [run for run in rows if experiment is None or run.experiment == experiment]
    if limit is None and not every and form == "text" and sys.stdout.isatty():
        limit = _SHOWN
    shown = found[:limit]
    if form == "json":
        put(_json(shown, _changed(rows)))
    elif shown:
        answer(*lines(shown, _width(), _changed(rows)))
        if len(shown) < len(found):
            say(f"the newest {len(shown):,} of {len(found):,} runs; --all shows all of them")
    else:
        say(f"there is no run{f' of {experiment}' if experiment else ''} in {folder}")


def _changed(rows: Sequence[RunSummary]) -> set[str]:
    """Return the paths of runs whose specification is not that of the run before."""
    from runner.store.run_before import has_other_specification, run_before

    before = run_before(rows)
    return {run.path for run in rows if has_other_specification(run, before.get(run.path))}


def _results_of(archive: Path) -> Results:
    from runner.archive.results_from import read_results_of

    return read_results_of(archive)


def _announce(done: int, total: int) -> None:
    """Say that many runs are read for the first time, which takes minutes for thousands."""
    if total > _SLOW and done in {1, total}:
        say(f"reading {total:,} runs for the first time" if done == 1 else f"read {total:,} runs")


def _json(rows: Sequence[RunSummary], changed: set[str]) -> str:
    import json

    from msgspec.structs import asdict

    from runner.store.json_text import readable

    content = [asdict(run) for run in rows]
    for run in content:
        del run["key"], run["machine"]
        run["specification_changed"] = run["path"] in changed
    return readable(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def _width() -> int:
    """Return the columns of the terminal; plenty where there is none, as programs read whole lines."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
