"""What a comparison does not say, as plain text: what was not judged, and which changes are too small."""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.comparison import Comparison, NotJudged
from runner.core.metrics import KEY_METRICS
from runner.report.number_format import listed
from runner.report.stage_place import place

_P95 = "duration_ms.p95"


def gaps(comparison: Comparison, *, suspect: bool = True) -> Iterator[str]:
    """Yield what was not judged and why, one line for each stage or request, without a full stop.

    Without `suspect`, stages that are suspect and were measured once are left out.
    """
    several = len({gap.configuration for gap in (*comparison.stages, *comparison.not_judged)}) > 1
    for gap in comparison.not_judged:
        if gap.suspect and not suspect:
            continue
        yield f"{place(gap, several=several)}{_metrics(gap)}: {gap.why}"


def detectable_change(comparison: Comparison) -> str:
    """Return the smallest p95 change that a comparison could have shown; empty if no p95 was compared."""
    p95s = [
        metric.detectable
        for stage in comparison.stages
        if stage.is_whole
        for metric in stage.metrics
        if metric.name == _P95
    ]
    if not p95s:
        return ""
    low, high = (f"{share * 100:,.0f}" for share in (min(p95s), max(p95s)))
    span = f"{low} %" if low == high else f"{low} % to {high} %, depending on the stage"
    return f"The smallest p95 change that these runs could have shown is {span}."


def _metrics(gap: NotJudged) -> str:
    """Return the titles of the metrics that are not judged; empty for all."""
    titles = [KEY_METRICS[name].title if name in KEY_METRICS else name for name in gap.metrics]
    return f": {listed(titles)}" if titles else ""
