"""`runner report`: the report of a stored run, rendered again from what was stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

from runner.cli import exit_codes
from runner.cli.output import answer_path, put, say
from runner.core.errors import UsageError
from runner.core.facts import TrialFacts
from runner.core.results import Results
from runner.store.run_names import CHARTS


def _markdown(results: Results, run: Path) -> str:
    """Return the report with the charts that are in the run's folder or archive."""
    from runner.report.markdown import render_markdown

    drawn = _drawn(run)
    if not drawn:
        return render_markdown(results)
    from runner.report.charts.render import charts

    pictures = {
        chart.name: (chart.alt,) for chart in charts(results) if f"{CHARTS}/{chart.name}-light.svg" in drawn
    }
    return render_markdown(results, pictures=pictures)


def _drawn(run: Path) -> set[str]:
    """Return the paths of the charts that a run has."""
    from runner.archive.results_from import is_archive

    if is_archive(run):
        from runner.archive.unpack import read_archive

        return {name for name in read_archive(run).files if name.startswith(f"{CHARTS}/")}
    return {f"{CHARTS}/{file.name}" for file in (run / CHARTS).glob("*.svg")}


def _page(results: Results, run: Path) -> str:
    from runner.report.page.render import render_page
    from runner.store.vega_cache import vega_bundle

    del run
    return render_page(results, bundle=vega_bundle())


def _json(results: Results, run: Path) -> str:
    from runner.store.results_file import encode_results

    del run
    return encode_results(results).decode()


def _junit(results: Results, run: Path) -> str:
    from runner.report.junit import render_junit

    del run
    return render_junit(results)


def _csv(results: Results, run: Path) -> str:
    from runner.report.csv_table import render_csv

    del run
    return render_csv(results)


def _timeseries(results: Results, run: Path) -> str:
    from runner.outputs.tables import timeseries_csv

    return timeseries_csv(results, _trials(run))


def _timeseries_ndjson(results: Results, run: Path) -> str:
    from runner.outputs.tables import timeseries_ndjson

    return timeseries_ndjson(results, _trials(run))


def _histograms(results: Results, run: Path) -> str:
    from runner.outputs.tables import histograms_csv

    return histograms_csv(results, _trials(run))


def _histograms_ndjson(results: Results, run: Path) -> str:
    from runner.outputs.tables import histograms_ndjson

    return histograms_ndjson(results, _trials(run))


def _trials(run: Path) -> tuple[TrialFacts, ...]:
    from runner.archive.trials_from import read_trials_of

    return read_trials_of(run)


_FORMATS: Final[Mapping[str, Callable[[Results, Path], str]]] = {
    "md": _markdown,
    "html": _page,
    "json": _json,
    "junit": _junit,
    "csv": _csv,
    "timeseries": _timeseries,
    "timeseries-ndjson": _timeseries_ndjson,
    "histograms": _histograms,
    "histograms-ndjson": _histograms_ndjson,
}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="md", show_default=True)
@click.option("--recount", "reanalyze", is_flag=True, help="Analyze the journal again, by the current rules.")
@click.option("--write", is_flag=True, help="Write report.md, report.html and the charts into RUN.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not to stdout.")
def report(run: Path, form: str, reanalyze: bool, write: bool, out: Path | None) -> int:
    """Render the report of RUN, the folder or archive of a run.

    The formats `timeseries` and `histograms` are tables of the journal, in CSV or in newline-delimited JSON:
    a row for each second of each stage, request, scenario and role; a row for each bucket of a histogram.

    If results.json is missing because the run was killed, is of before the run was resumed, or is damaged,
    the report shows what the journal contains.
    """
    if write and out is not None:
        raise click.UsageError("--write writes into RUN, and --out elsewhere: give one of them")
    results = _reanalyzed(run) if reanalyze else _stored(run)
    if write:
        return _write_all(run, results)
    put(_FORMATS[form](results, run), out)
    return exit_codes.DONE


def _write_all(run: Path, results: Results) -> int:
    """Write every rendered file, as `runner execute` does."""
    from runner.archive.results_from import is_archive
    from runner.store.rendered_files import rendered, write_rendered
    from runner.store.run_folder import RunFolder
    from runner.store.run_names import MARKDOWN

    if is_archive(run):
        raise UsageError(
            f"{run} is an archive, and archives are never changed",
            hint="print with --format, or extract it first",
        )
    folder = RunFolder(run if run.is_dir() else run.parent)
    write_rendered(folder, rendered(results))
    answer_path(folder.path / MARKDOWN)
    return exit_codes.DONE


def _reanalyzed(run: Path) -> Results:
    from runner.archive.results_from import is_archive
    from runner.archive.unpack import read_archive
    from runner.store.reanalyze import reanalyze_files, reanalyze_folder

    if is_archive(run):
        return reanalyze_files(read_archive(run).files, where=f"{run}: ").results
    return reanalyze_folder(run)


def _stored(run: Path) -> Results:
    """Return the stored results; if they are missing, damaged, older or newer, those in the journal."""
    from runner.archive.results_from import read_results_or_journal

    results, why = read_results_or_journal(run)
    if why:
        say(*why)
    return results
