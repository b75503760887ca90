"""Capacity searches: rate against p95, the knee, and the result."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from runner.core.results import Capacity, ConfigurationResults, ProbeSummary, stage_title
from runner.report import number_format
from runner.report.markdown_text import Markdown, code, listed, markdown, table
from runner.report.metric_text import latency_title
from runner.report.section import Section

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
    kept = sorted((stage for stage in probes if stage.order in deciding), key=lambda stage: stage.target_rps)
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
    """By rate, with a bar as long as the p95; the order in which the probes ran is beside it."""
    latency = latency_title(search.latency).lower()
    highest = max(probe.p95_ms or 0.0 for probe in search.probes)
    first = min(probe.order for probe in search.probes)
    rows = [
        [
            _rate(search, probe),
            str(probe.order - first + 1),
            number_format.ms(probe.p95_ms),
            bar(probe.p95_ms, highest),
            number_format.share(probe.achieved),
            _verdict(probe),
        ]
        for probe in sorted(search.probes, key=lambda probe: probe.rps)
    ]
    head = [
        "Rate (RPS)",
        "Probe",
        f"p95 {latency} (ms)",
        f"Full bar: {number_format.ms(highest)} ms",
        "Achieved",
        "Sustained",
    ]
    return table(head, rows, words=(3, 5))


def _rate(search: Capacity, probe: ProbeSummary) -> Markdown:
    rate = markdown("**{}**" if probe.rps == search.rps else "{}", number_format.rate(probe.rps))
    return markdown("{} (knee)", rate) if probe.rps == search.knee.rps else rate


def _verdict(probe: ProbeSummary) -> Markdown:
    if probe.ok:
        return markdown("yes")
    return markdown("undecided: {}" if probe.ok is None else "**no**: {}", probe.why)


def bar(value: float | None, highest: float) -> str:
    """Return a bar of up to `_WIDTH` characters, to an eighth of one; what is not 0 is never empty."""
    if not value or not highest:
        return ""
    eighths = max(1, round(value / highest * _WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _method(search: Capacity) -> Markdown:
    return markdown(
        "A rate is sustained if {}. From {} to {} RPS, the search doubles the rate until one fails, then "
        "bisects until the lowest failed rate is at most {} above the highest sustained one. Each probe is "
        "one trial, so the result is as repeatable as a single trial. Knee detection: {}.",
        listed(code(condition) for condition in search.holds),
        number_format.rate(search.min_rps),
        number_format.rate(search.max_rps),
        number_format.share(search.precision),
        search.knee.method,
    )
