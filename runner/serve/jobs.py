"""What the processes of `runner.serve.workshop` do: read runs, and make the pages that take long.

Each job imports what it needs: to import everything takes longer than to make a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from runner.core.results import Results
    from runner.report.page.links import Link
    from runner.store.run_candidate import Candidate
    from runner.store.run_summary import RunSummary

_MARGIN: Final = 0.05


def summaries(folder: Path, candidates: Sequence[Candidate]) -> list[RunSummary]:
    """Return a row for each of these runs."""
    from runner.archive.results_from import read_results_of
    from runner.store.run_index_read import summarize

    return [summarize(folder, candidate, read_results_of) for candidate in candidates]


def report_page(run: Path, from_journal: bool, files: Sequence[Link], note: str = "") -> bytes:
    """Return the page of a run; an archive is verified first.

    Args:
        run: Its folder or archive.
        from_journal: It has no results: show what its journal contains.
        files: Links by which its files can be saved.
        note: A sentence in its head; such a page is whole without its server, which is about to end.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: Its content does not follow from its data.
    """
    from dataclasses import replace

    from runner.report.page.links import ExternalFiles, Link
    from runner.report.page.render import render_page
    from runner.serve.assets import CHARTS, asset
    from runner.store.chart_process import library_version

    results = _from_journal(run) if from_journal else _verified(run)
    if note:
        from runner.store.vega_cache import vega_bundle

        return render_page(results, bundle=vega_bundle(), note=note).encode()
    names = {"style": "page.css", "theme": "theme.js", "script": "page.js", "bundle": CHARTS}
    external = ExternalFiles(**{key: asset(name) for key, name in names.items()})
    if library_version() is None:
        external = replace(external, bundle="")
    return render_page(results, external=external, home=Link("/", "All runs"), files=files).encode()


def timeseries(run: Path) -> bytes:
    """Return the numbers of each second of a run as CSV.

    Raises:
        StoredRunError: It cannot be read.
    """
    from runner.archive.results_from import read_results_or_journal
    from runner.archive.trials_from import read_trials_of
    from runner.outputs.tables import timeseries_csv

    return timeseries_csv(read_results_or_journal(run)[0], read_trials_of(run)).encode()


def comparison_text(base: Path, head: Path, force: bool) -> tuple[str, str]:
    """Return the comparison of two runs as HTML, and the names of their experiments.

    Raises:
        UsageError: They cannot be compared.
    """
    from runner.analyze.comparison import compare
    from runner.report.page.comparison_page import comparison_html

    sides = [_verified(path) for path in (base, head)]
    names = list(dict.fromkeys(results.experiment.name for results in sides))
    comparison = compare(sides[:1], sides[1:], margin=_MARGIN, force=force)
    return str(comparison_html(comparison)), " and ".join(names)


def history_text(runs: Sequence[Path]) -> tuple[str, str, list[tuple[str, str]]]:
    """Return the history of an experiment: HTML, its charts as JSON, and name and description of each chart.

    Raises:
        StoredRunError: A run cannot be read.
    """
    import json

    from runner.analyze.history import history
    from runner.archive.results_from import read_results_of
    from runner.report.charts.chart import theme, titled
    from runner.report.charts.history import history_charts
    from runner.report.history import render_history
    from runner.report.page.markdown_html import to_html

    known = {results.run.id: results for results in map(read_results_of, runs)}
    found = history(list(known.values()), margin=_MARGIN)
    charts = history_charts(found)
    themes = {"light": theme(dark=False), "dark": theme(dark=True)}
    data = {"charts": {chart.name: titled(chart) for chart in charts}, **themes}
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    named = [(chart.name, chart.alt) for chart in charts]
    return str(to_html(render_history(found))), text.replace("<", "\\u003c").replace(">", "\\u003e"), named


def archived_file(archive: Path, name: str) -> bytes:
    """Return a file of an archive whose bytes are those that were written.

    Raises:
        ArchiveDamaged: They are not, or it has no such file.
    """
    from runner.archive.unpack import read_archive
    from runner.core.errors import ArchiveDamaged

    files = read_archive(archive).files
    if name not in files:
        raise ArchiveDamaged(f"it contains no {name}")
    return files[name]


def _from_journal(run: Path) -> Results:
    from runner.store.reanalyze import reanalyze_folder

    return reanalyze_folder(run)


def _verified(run: Path) -> Results:
    """Return the results of a run; those of an archive only if they follow from its data."""
    from runner.archive.results_from import is_archive, read_results_of

    if is_archive(run):
        from runner.archive.unpack import read_archive
        from runner.archive.verify import verify
        from runner.core.errors import ArchiveDamaged

        found = verify(read_archive(run).files, run.name)
        if found.wrong:
            raise ArchiveDamaged(
                f"{run.name} does not verify",
                hint="do not trust it: its numbers do not follow from its data",
                details=found.wrong,
            )
    return read_results_of(run)


JOBS: Final[dict[str, Callable[..., Any]]] = {
    job.__name__: job
    for job in (summaries, report_page, comparison_text, history_text, archived_file, timeseries)
}
