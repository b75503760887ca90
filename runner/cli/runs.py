"""`runner runs`: the runs in a folder, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli.output import answer, put, safe, say

if TYPE_CHECKING:  # a command imports what it needs when it runs
    from runner.store.run_summary import RunSummary

FORMATS: Final = ("text", "json")
_SLOW: Final = 200
"""More runs than this are announced before they are read."""
_GAP: Final = "  "
_HEADS: Final = ("STARTED", "EXPERIMENT", "VERDICT", "RATE", "P95 MS", "THRESHOLDS", "PATH")
_RIGHT: Final = frozenset({"RATE", "P95 MS", "THRESHOLDS"})
_NONE: Final = "–"
_WIDEST: Final = 70
"""Characters of a verdict in a table."""
_NARROWEST: Final = 20
"""Columns; lines are not made shorter for a terminal that has fewer."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="reports")
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
def runs(folder: Path, experiment: str | None, limit: int | None, form: str) -> None:
    r"""List the runs in FOLDER, newest first: verdict, rate, p95 and failed thresholds. Default: reports.

    The rate is the highest sustained one; with a ~, the highest throughput of a run that sustained none.
    Runs that are damaged, were interrupted or are in progress are listed as what they are.

    \b
    Example:
      runner runs reports --experiment checkout --limit 10
    """
    from runner.archive.results_from import read_results_of
    from runner.store.run_index import list_runs
    from runner.store.run_index_scan import check_folder

    check_folder(folder)
    rows = list_runs(folder, read_results_of, _announce)
    shown = [run for run in rows if experiment is None or run.experiment == experiment][:limit]
    if form == "json":
        put(_json(shown))
    elif shown:
        answer(*_lines(shown, _width()))
    else:
        say(f"there is no run{f' of {experiment}' if experiment else ''} in {folder}")


def _announce(done: int, total: int) -> None:
    """Say that many runs are read for the first time, which takes minutes for thousands."""
    if total > _SLOW and done in {1, total}:
        say(f"reading {total:,} runs for the first time" if done == 1 else f"read {total:,} runs")


def _json(rows: Sequence[RunSummary]) -> str:
    import json

    from msgspec.structs import asdict

    from runner.store.json_text import readable

    content = [asdict(run) for run in rows]
    for run in content:
        del run["key"], run["machine"]
    return readable(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def _width() -> int:
    """Return the columns of the terminal; plenty where there is none, as programs read whole lines."""
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def _lines(rows: Sequence[RunSummary], width: int) -> Iterator[str]:
    """Yield a table with as many columns as there is room for, or a block a run on narrow terminals."""
    whole = [_cells(run) for run in rows]
    cells = [row | {"VERDICT": _cut(row["VERDICT"])} for row in whole]
    for columns in (_HEADS, _HEADS[:-1], ("STARTED", "EXPERIMENT", "VERDICT", "RATE", "P95 MS")):
        widths = {head: max(len(head), *(len(row[head]) for row in cells)) for head in columns}
        if sum(widths.values()) + len(_GAP) * (len(columns) - 1) <= width:
            yield _line({head: head for head in columns}, widths)
            yield from (_line(row, widths) for row in cells)
            return
    for row in whole:
        yield from _block(row, width)


def _block(row: dict[str, str], width: int) -> Iterator[str]:
    """Yield a run over several lines, none of them wider than the terminal unless a word is."""
    import textwrap

    yield row["PATH"] if row["EXPERIMENT"] == _NONE else row["EXPERIMENT"]
    texts = [row["STARTED"], row["VERDICT"]]
    if row["RATE"] != _NONE:
        texts.append(f"{row['RATE']}, p95 {row['P95 MS']} ms, thresholds: {row['THRESHOLDS']}")
    for text in filter(None, texts):
        yield from textwrap.wrap(
            text,
            max(width, _NARROWEST),
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _cut(text: str) -> str:
    """Return a text that is not longer than a column of a table may be; what is cut ends with an ellipsis."""
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1].rstrip()}…"


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    return _GAP.join(
        row[head].rjust(width) if head in _RIGHT else row[head].ljust(width) for head, width in widths.items()
    ).rstrip()


def _cells(run: RunSummary) -> dict[str, str]:
    """Return the texts of a run's row, each safe for a terminal."""
    from runner.report import number_format

    rate = _NONE
    if run.rate is not None:
        rate = f"{'' if run.is_sustained else '~'}{number_format.rate(run.rate)} {run.unit}"
    values = {
        "STARTED": _moment(run.started_at),
        "EXPERIMENT": run.experiment or _NONE,
        "VERDICT": _verdict(run),
        "RATE": rate,
        "P95 MS": _NONE if run.p95_ms is None else number_format.ms(run.p95_ms),
        "THRESHOLDS": run.thresholds_text or _NONE,
        "PATH": run.path or ".",
    }
    return {head: safe(value) for head, value in values.items()}


def _verdict(run: RunSummary) -> str:
    """Return the verdict, and what makes it doubtful; of what has none, what it is and why."""
    from runner.store.run_summary import RunState

    if not run.is_measured:
        return run.state.value if run.state is RunState.RUNNING else f"{run.state}: {run.problem}"
    doubts = [run.validity] if run.validity not in {"", "valid"} else []
    doubts += [run.state] if run.state is RunState.ABORTED else []
    verdict = run.verdict or "nothing measured"
    return f"{verdict} ({', '.join(doubts)})" if doubts else verdict


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(" ", "minutes")
    except ValueError:
        return text
