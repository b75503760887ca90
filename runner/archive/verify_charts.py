"""Draws an archive's charts again and compares them; refuses pictures that are no charts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from runner.archive.provenance import SOFTWARE
from runner.archive.svg import fault_of_svg
from runner.archive.tree_difference import Difference
from runner.core.results import Results
from runner.report.charts.render import charts
from runner.store.chart_process import draw, library_version
from runner.store.rendered_files import chart_files

_CHARTS: Final = "charts/"
_LIBRARY: Final = "vl-convert-python"


def chart_differences(files: Mapping[str, bytes], results: Results) -> Iterator[Difference]:
    """Yield the charts that are not what the results give, as far as they can be drawn here.

    Args:
        files: Of the archive.
        results: Its results, computed again.
    """
    stored = {name: content for name, content in files.items() if name.startswith(_CHARTS)}
    for name, content in stored.items():
        if fault := fault_of_svg(content):
            yield Difference(_CHARTS, f"{name} is no chart of a run: {fault}", explained=False)
    known = {f"{_CHARTS}{chart.name}-{theme}.svg" for chart in charts(results) for theme in ("light", "dark")}
    for name in stored:
        if name not in known:
            yield Difference(_CHARTS, f"{name}: the archive's own data give no such chart")
    if not stored or charts_not_verified(files):
        return
    for name, content in chart_files(draw(charts(results))).items():
        if name in stored and stored[name] != content:
            yield Difference(_CHARTS, f"{name} is not what the archive's own data give")


def charts_not_verified(files: Mapping[str, bytes]) -> str:
    """Return why this archive's charts cannot be verified here; empty if they can, or if it has none."""
    if not any(name.startswith(_CHARTS) for name in files):
        return ""
    made_by, here = _version_in(files), library_version()
    if here is None:
        return f"{_LIBRARY} is not installed here"
    if made_by is None:
        return f"the archive does not say which {_LIBRARY} drew them"
    return "" if made_by == here else f"{_LIBRARY} {made_by} drew them, and {here} is installed here"


def _version_in(files: Mapping[str, bytes]) -> str | None:
    """Return the version of the library that an archive records; None if it records none."""
    try:
        version = json.loads(files[SOFTWARE])["packages"][_LIBRARY]
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
    return version if isinstance(version, str) else None
