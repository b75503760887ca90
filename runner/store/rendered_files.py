"""The files of a run that people read: the report as Markdown and HTML, and its charts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from runner.core.results import Results
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.report.page.render import render_page
from runner.store.chart_process import Pictures, begin_drawing
from runner.store.run_folder import RunFolder
from runner.store.run_names import CHARTS, MARKDOWN, PAGE
from runner.store.vega_cache import vega_bundle

_THEMES: Final = ("-light", "-dark")


def rendered(results: Results) -> dict[str, bytes]:
    """Return path in the run's folder to content: the report, its charts, and the page.

    Without the extra `charts`, or if it does not work, there are no charts. A chart that cannot be drawn
    is left out: it must not prevent the report.
    """
    bundle = vega_bundle()
    drawing = begin_drawing(charts(results) if bundle else ())
    page = render_page(results, bundle=bundle).encode()
    pictures = drawing.result()
    markdown = render_markdown(results, pictures=pictures).encode()
    return {MARKDOWN: markdown} | chart_files(pictures) | {PAGE: page}


def write_rendered(folder: RunFolder, files: Mapping[str, bytes]) -> None:
    """Write what `rendered` returned, and remove charts of a report before, which this one does not have.

    Where no chart can be drawn, those that are there stay.

    Raises:
        OutputError: A file cannot be written.
    """
    for name, content in files.items():
        folder.write(name, content)
    charts_folder = folder.path / CHARTS
    if charts_folder.is_symlink() or not any(name.startswith(f"{CHARTS}/") for name in files):
        return
    for chart in charts_folder.glob("*.svg"):
        if chart.stem.endswith(_THEMES) and f"{CHARTS}/{chart.name}" not in files:
            with suppress(OSError):
                chart.unlink()


def chart_files(pictures: Pictures) -> dict[str, bytes]:
    """Return path in the run's folder to content of the charts."""
    files: dict[str, bytes] = {}
    for name, (_, light, dark) in pictures.items():
        files |= {f"{CHARTS}/{name}-light.svg": light, f"{CHARTS}/{name}-dark.svg": dark}
    return files
