"""Capacity: the searches for it, and how far more replicas raise it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from runner.core.codes import RateUnit
from runner.core.repeat_results import Capacity, ProbeSummary
from runner.core.results import ConfigurationResults, Results
from runner.core.scaling_results import ScalingPoint
from runner.core.stage_results import stage_title
from runner.report import number_format
from runner.report.markdown_text import Markdown, Section, code, listed, markdown, table
from runner.report.metric_text import achieved, latency_title
from runner.report.number_format import NOT_APPLICABLE

_WIDTH: Final = 16
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def shown(configuration: ConfigurationResults) -> ConfigurationResults:
    """Return a configuration whose only probes are those that decide a search.

    A search without a result yet is represented by its last probe. At least one stage is left.
    """
    if not configuration.capacity:
        return configuration
    last = {search.probes[-1].order for search in configuration.capacity if search.probes}
    probes = [stage for stage in configuration.stages if stage.find is not None]
    deciding = {stage.order for stage in probes if stage.find and stage.find.decides} or last
    kept = sorted((stage for stage in probes if stage.order in deciding), key=lambda stage: stage.rate)
    others = [stage for stage in configuration.stages if stage.find is None]
    return replace(configuration, stages=(*others, *kept) or configuration.stages)


def searches(configuration: ConfigurationResults) -> list[Section]:
    """Return heading, result, table and method of every search that began."""
    return [
        Section(
            heading=f"Capacity: {stage_title(search.stage, search.repeat)}",
            sentence=markdown("{}", search.sentence),
            table=_table(search),
            method=_method(search),
        )
        for search in configuration.capacity
        if search.probes
    ]


def _table(search: Capacity) -> Markdown:
    """Return the probes by rate, each with its place in the search and a bar as long as its p95."""
    latency = latency_title(search.latency).lower() + (f" of {search.request}" if search.request else "")
    highest = max(probe.p95_ms or 0.0 for probe in search.probes)
    first = min(probe.order for probe in search.probes)
    rows = []
    for probe in sorted(search.probes, key=lambda probe: probe.rps):
        latencies = [number_format.ms(probe.p95_ms), bar(probe.p95_ms, highest)]
        outcome = [achieved(probe.achieved), _verdict(probe)]
        rows.append([_rate(search, probe), str(probe.order - first + 1), *latencies, *outcome])
    full = f"Full bar: {number_format.ms(highest)} ms"
    head = [f"Rate ({search.unit})", "Probe", f"p95 {latency} (ms)", full, "Achieved", "Sustained"]
    return table(head, rows, words=(3, 5))


def _rate(search: Capacity, probe: ProbeSummary) -> Markdown:
    rate = markdown("**{:rate}**" if probe.rps == search.shown_rps else "{:rate}", probe.rps)
    return markdown("{} (knee)", rate) if probe.rps == search.knee.rps else rate


def _verdict(probe: ProbeSummary) -> Markdown:
    if probe.ok:
        return markdown("yes")
    if probe.mask is not UNSET:
        return markdown("not shown: {}", probe.why)
    return markdown("undecided: {}" if probe.ok is None else "**no**: {}", probe.why)


def bar(value: float | None, highest: float) -> str:
    """Return a bar of up to `_WIDTH` characters, to an eighth of one; what is not 0 is never empty."""
    if not value or not highest:
        return ""
    eighths = max(1, round(value / highest * _WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _method(search: Capacity) -> Markdown:
    return markdown(
        "A rate is sustained if {}. From {:rate} to {:rate} {}, the search doubles the rate until one "
        "fails, then bisects until the lowest failed rate is at most {:share} above the highest sustained "
        "one. Each probe is one trial, so the result is as repeatable as a single trial. Knee detection: {}.",
        listed(map(code, search.holds)),
        *(search.min_rps, search.max_rps, search.unit, search.precision, search.knee.method),
    )


def curves(results: Results) -> list[Section]:
    """Return heading, sentence, table and method of every curve over replicas that has a point."""
    known = [scaling for scaling in results.scaling if scaling.points]
    several = len(known) > 1
    return [
        Section(
            heading=f"Replicas: {', '.join(scaling.configurations)}" if several else "Replicas",
            sentence=markdown("{}", scaling.sentence),
            table=_curve_table(scaling.points, scaling.unit),
            method=markdown("Method: {}.", scaling.method),
        )
        for scaling in known
    ]


def _curve_table(points: Sequence[ScalingPoint], unit: RateUnit) -> Markdown:
    one = points[0].rps / max(points[0].replicas, 1)
    rows = []
    for point in points:
        per_replica = point.rps / max(point.replicas, 1)
        fitted = NOT_APPLICABLE if point.fitted_rps is None else number_format.rate(point.fitted_rps)
        relative = number_format.share(per_replica / one) if one else NOT_APPLICABLE
        capacities = [number_format.rate(point.rps), _range(point), fitted, number_format.rate(per_replica)]
        rows.append([str(point.replicas), *capacities, relative, point.limited_by or NOT_APPLICABLE])
    base = number_format.plural(points[0].replicas, "replica")
    head = ["Replicas", f"Capacity ({unit})", "Range", "Fitted", "Per replica", f"Relative to {base}"]
    return table([*head, "Verdict"], rows, words=(6,))


def _range(point: ScalingPoint) -> str:
    if point.source == "overload":
        return "throughput under overload"
    return markdown("{:rate} to {:rate}", point.low_rps, point.high_rps)
