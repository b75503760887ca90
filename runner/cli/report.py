"""`runner report`: a run's report once more, from what was stored and never from memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from runner.cli import exit_codes
from runner.cli.run_arguments import put
from runner.core.errors import LoadproofError, StoredRunError, UsageError
from runner.store.run_folder import RESULTS

Results: TypeAlias = Mapping[str, Any]


def _markdown(results: Results, run: Path) -> str:
    """With the charts that lie in the run's folder, or in its archive."""
    from runner.archive.results_from import is_archive
    from runner.archive.unpack import read_archive
    from runner.report.charts.render import charts
    from runner.report.markdown import render_markdown

    inside = read_archive(run).files if is_archive(run) else {}
    drawn = {
        each.name: (each.alt,)
        for each in charts(results)
        if (name := f"charts/{each.name}-light.svg") in inside or (run / name).exists()
    }
    return render_markdown(results, pictures=drawn)


def _page(results: Results, run: Path) -> str:
    from runner.report.page.render import render_page
    from runner.store.vega_cache import vega_bundle

    del run
    return render_page(results, bundle=vega_bundle())


def _json(results: Results, run: Path) -> str:
    del run
    return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _junit(results: Results, run: Path) -> str:
    del run
    from runner.report.junit import render_junit

    return render_junit(results)


def _csv(results: Results, run: Path) -> str:
    del run
    from runner.report.csv_table import render_csv

    return render_csv(results)


_FORMATS: Final[Mapping[str, Callable[[Results, Path], str]]] = {
    "md": _markdown,
    "html": _page,
    "json": _json,
    "junit": _junit,
    "csv": _csv,
}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="md", show_default=True)
@click.option("--recount", is_flag=True, help="Analyze the journal anew, by this version's rules.")
@click.option("--write", is_flag=True, help="Write report.md, report.html and the charts into RUN.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write here, not to stdout.")
def report(run: Path, form: str, recount: bool, write: bool, out: Path | None) -> int:
    """Render the report of RUN, a run's folder or archive, again.

    Of a run that was killed before it could write results.json, or whose results.json is damaged, what
    its journal holds is shown.
    """
    if write:
        return _write_all(run, _recounted(run) if recount else _results(run))
    text = _FORMATS[form](_recounted(run) if recount else _results(run), run)
    put(text, out)
    return exit_codes.DONE


def _write_all(run: Path, results: Results) -> int:
    """Everything that people look at, as `runner execute` writes it."""
    from runner.archive.results_from import is_archive
    from runner.store.rendered_files import MARKDOWN, rendered
    from runner.store.run_folder import RunFolder

    if is_archive(run):
        raise UsageError(
            f"{run} is an archive and stays as it is", hint="print with --format, or extract it first"
        )
    folder = RunFolder(run if run.is_dir() else run.parent)
    for name, content in rendered(results).items():
        folder.write(name, content)
    click.echo(folder.path / MARKDOWN)
    return exit_codes.DONE


def _recounted(run: Path) -> Results:
    from runner.archive.results_from import is_archive
    from runner.archive.unpack import read_archive
    from runner.store.reanalyze import recount_files, recount_folder

    return (
        recount_files(read_archive(run).files, where=f"{run}: ") if is_archive(run) else recount_folder(run)
    )


def _results(run: Path) -> Results:
    """As stored; where results.json is missing, damaged or newer, as far as the journal tells."""
    from runner.archive.results_from import read_results_of as read_results
    from runner.store.reanalyze import recount_folder

    try:
        return read_results(run)
    except StoredRunError as fault:
        if not run.is_dir():
            raise
        try:
            found = recount_folder(run)
        except LoadproofError:
            raise fault from None  # it says what a run's folder has to hold
        lost = fault.message if (run / RESULTS).exists() else f"{run} has no {RESULTS}"
        click.echo("\n".join([f"{lost}: this is what its journal tells", *fault.details]), err=True)
        return found
