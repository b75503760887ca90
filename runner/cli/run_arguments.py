"""Stored runs as arguments of commands: one run, or a folder of runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from runner.cli.output import say
from runner.core.errors import StoredRunError
from runner.core.results import Results

_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*%?")
_MAX_RUNS: Final = 1000


def _share(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Return 0.05 for ``5%`` or ``5``; the callback of an option."""
    del ctx
    match = _PERCENT.fullmatch(value.strip())
    share = float(match[1]) / 100 if match else 0.0
    if not 0 < share <= 1:
        raise click.BadParameter(
            f"{value!r} is not a percentage above 0 % and up to 100 %, such as 5%", param=param
        )
    return share


margin_option: Final = click.option(
    "--margin",
    callback=_share,
    default="5%",
    show_default=True,
    help="Changes up to this size count as none.",
)


def read_runs(path: Path) -> list[Results]:
    """Return the results of a run (its folder or archive), or of every run below a folder, oldest first.

    A run that is there twice, as a folder and as an archive, counts once.

    Raises:
        StoredRunError: There is no run, or one is damaged.
    """
    from runner.archive.results_from import read_results_of
    from runner.store.results_file import read_results
    from runner.store.run_names import RESULTS, RUN

    if not path.is_dir() or any((path / name).exists() for name in (RESULTS, RUN)):
        return [read_results_of(path)]
    folders = sorted({file.parent for name in (RESULTS, RUN) for file in path.glob("**/" + name)})
    archives = [
        file for file in sorted(path.glob("**/*.zip")) if file.is_file() and file.parent not in folders
    ]
    if not folders and not archives:
        return [read_results(path)]  # raises: it explains what the folder of a run contains
    if len(folders) + len(archives) > _MAX_RUNS:
        raise StoredRunError(
            f"there are more than {_MAX_RUNS} runs in {path}", hint="give one of the folders in it"
        )
    runs = [read_results(folder) for folder in _with_results(folders)]
    runs += [results for file in archives if (results := _read_archive(file)) is not None]
    if not runs:
        raise StoredRunError(f"there is no run in {path}", hint="give a folder that `runner execute` wrote")
    by_id = {results.run.id: results for results in reversed(runs)}
    return sorted(by_id.values(), key=lambda results: results.run.started_at)


def _read_archive(file: Path) -> Results | None:
    """Return the results in a ZIP that was found in a folder; None, with a message, for any other ZIP."""
    from runner.archive.results_from import read_results_of

    try:
        return read_results_of(file)
    except StoredRunError as error:
        say(f"ignored: {error.message}")
        return None


def _with_results(folders: Sequence[Path]) -> list[Path]:
    """Return the folders of runs with results, and say what the others are.

    Other programs write files of these names too.
    """
    from runner.store.run_names import JOURNAL, SPEC
    from runner.store.unfinished import has_results, unfinished

    with_results, hint = [], ""
    for folder in folders:
        if not any((folder / name).exists() for name in (JOURNAL, SPEC)):
            say(f"ignored: {folder} is not the folder of a run")
        elif has_results(folder):
            with_results.append(folder)
        else:
            error = unfinished(folder)
            say(f"ignored: {error.message}")
            hint = hint or error.hint
    if hint:
        say(hint, label="hint:", colour="cyan")
    return with_results
