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


def verify_charts(files: Mapping[str, bytes], results: Results) -> tuple[list[Difference], str]:
    """Return the charts that are not what the results give, and why charts could not be verified.

    Args:
        files: Of the archive.
        results: Its results, computed again.
    """
    stored = {name: content for name, content in files.items() if name.startswith(_CHARTS)}
    found = list(_no_charts(stored, results))
    reason = _why_not_drawn(files)
    if reason or not stored:
        return found, reason
    drawn = chart_files(draw(charts(results)))
    for name, content in drawn.items():
        if name in stored and stored[name] != content:
            found.append(Difference(_CHARTS, f"{name} is not what the archive's own data give"))
    return found, "" if drawn.keys() >= stored.keys() else f"{_LIBRARY} could not draw all of them here"


def _no_charts(stored: Mapping[str, bytes], results: Results) -> Iterator[Difference]:
    """Yield the files that are no charts of these results, whatever they look like."""
    known = {f"{_CHARTS}{chart.name}-{theme}.svg" for chart in charts(results) for theme in ("light", "dark")}
    for name, content in stored.items():
        if fault := fault_of_svg(content):
            yield Difference(_CHARTS, f"{name} is no chart of a run: {fault}", explained=False)
        if name not in known:
            yield Difference(_CHARTS, f"{name}: the archive's own data give no such chart")


def _why_not_drawn(files: Mapping[str, bytes]) -> str:
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
