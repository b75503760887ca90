"""Everything a run's folder shows to people, made from its results alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.report.charts.render import charts, render_svg
from runner.report.markdown import render_markdown
from runner.report.page.render import render_page
from runner.store.vega_cache import vega_bundle

MARKDOWN: Final = "report.md"
PAGE: Final = "report.html"


def rendered(results: Mapping[str, Any]) -> dict[str, bytes]:
    """Path in the run's folder to content: the report, its charts, and the page.

    Without the extra `charts`, or where it is broken, there are no charts. A chart that cannot be drawn
    is left out: it must not cost the report.
    """
    bundle = vega_bundle()
    drawn = _charts(results) if bundle else {}
    files = {MARKDOWN: render_markdown(results, pictures=drawn).encode()}
    for name, (_, light, dark) in drawn.items():
        files |= {f"charts/{name}-light.svg": light, f"charts/{name}-dark.svg": dark}
    return files | {PAGE: render_page(results, bundle=bundle).encode()}


def _charts(results: Mapping[str, Any]) -> dict[str, tuple[str, bytes, bytes]]:
    """Name to words for who cannot see it, light and dark picture."""
    found = {}
    for chart in charts(results):
        try:
            found[chart.name] = (chart.alt, *render_svg(chart))
        except (ImportError, ValueError):
            continue
    return found
