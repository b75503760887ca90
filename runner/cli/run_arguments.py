"""Stored runs from the command line: a run, or a folder of runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from runner.core.errors import OutputError, StoredRunError
from runner.experiment.suggestions import harmless
from runner.store.run_folder import JOURNAL, RESULTS, SPEC

Results: TypeAlias = Mapping[str, Any]
_PERCENT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*%?")
_MOST = 1000


def margin(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """From ``5%`` or ``5`` to 0.05; an option's callback."""
    del ctx
    found = _PERCENT.fullmatch(value.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise click.BadParameter(f"{value!r} is no share above 0 % and up to 100 %, such as 5%", param=param)
    return share


def read_runs(path: Path) -> list[Results]:
    """The results of a run, its folder or its archive, or of every run below a folder, oldest first.

    A run that lies there twice, as a folder and as an archive, counts once.

    Raises:
        StoredRunError: There is none, or one is damaged.
    """
    from runner.archive.results_from import read_results_of
    from runner.store.results_file import read_results

    if not path.is_dir() or (path / RESULTS).exists():
        return [read_results_of(path)]
    folders = sorted(found.parent for found in path.glob("**/" + RESULTS))
    archives = [
        found for found in sorted(path.glob("**/*.zip")) if found.is_file() and found.parent not in folders
    ]
    if not folders and not archives:
        return [read_results(path)]  # says what a run's folder has to hold
    if len(folders) + len(archives) > _MOST:
        raise StoredRunError(f"there are more than {_MOST} runs in {path}", hint="name one of its folders")
    runs: list[Results] = [read_results(folder) for folder in folders if _is_run(folder)]
    runs += [found for archive in archives if (found := _read_archive(archive)) is not None]
    if not runs:
        raise StoredRunError(f"there is no run in {path}", hint="give a folder that `runner execute` wrote")
    return _oldest_first({str(each["run"]["id"]): each for each in reversed(runs)}.values())


def _read_archive(path: Path) -> Results | None:
    """Of a ZIP in a folder, which may be anything; one that is given by its name has to be an archive."""
    from runner.archive.results_from import read_results_of

    try:
        return read_results_of(path)
    except StoredRunError as error:
        click.echo(f"left out: {harmless(error.message)}", err=True)
        return None


def _oldest_first(runs: Iterable[Results]) -> list[Results]:
    return sorted(runs, key=lambda each: str(each["run"]["started_at"]))


def _is_run(folder: Path) -> bool:
    """Other programs call a file results.json as well."""
    if (folder / JOURNAL).exists() or (folder / SPEC).exists():
        return True
    click.echo(f"{folder} is no run's folder and is left out", err=True)
    return False


def put(text: str, out: Path | None) -> None:
    """Print a text, or write it where --out says and print the path.

    Raises:
        OutputError: It cannot be written.
    """
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error.strerror}", hint="choose another file with --out"
        ) from None
    click.echo(out)
