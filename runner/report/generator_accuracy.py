"""What the generator itself contributes: its baseline, its spacing, and what another engine measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from runner.core.metrics import CROSS_CHECKED, METRICS
from runner.core.observed_results import StageCalibration
from runner.core.repeat_results import CrossCheck, Difference
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage, stage_title
from runner.report import metric_text, number_format
from runner.report.markdown_text import EMPTY, Markdown, Section, join, markdown, table
from runner.report.number_format import NOT_APPLICABLE, NOT_MEASURED
from runner.report.tables import three

_HEAD: Final = (
    "Engine, connections, rate", "Duration p50 / p95 / p99 (ms)", "Dispatch delay p99 (ms)",
    "CPU per request (µs)", "Planned / actual gap (µs)", "Spacing error p50 / p99 (µs)",
    "Maximum rate (RPS)",
)  # fmt: skip
_BY_KEY: Final = {metric.key: metric for metric in METRICS.values()}


def baselines(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what every engine shows at every rate against a no-op server; empty without a calibration."""
    calibrations = {
        (calibration.engine, calibration.connection, _rate(stage, calibration)): calibration
        for configuration in configurations
        for stage in (*configuration.stages, *(check.trial for check in configuration.cross_check))
        if (calibration := stage.calibration) and calibration.duration_ms
    }
    rows = [_baseline(rate, calibration) for (_, _, rate), calibration in calibrations.items()]
    return table(_HEAD, rows) if rows else EMPTY


def _rate(stage: Stage, calibration: StageCalibration) -> float:
    """Return the rate of a baseline."""
    if calibration.measured_at_rps is not UNSET:
        return calibration.measured_at_rps
    return stage.ramp.highest if stage.ramp else stage.rate


def _baseline(rate: float, calibration: StageCalibration) -> list[str]:
    gaps = errors = NOT_MEASURED
    if spacing := calibration.spacing_us:
        gaps = f"{spacing.planned_gap_us:,.0f} / {spacing.median_gap_us:,.0f}"
        errors = f"{spacing.error_p50_us:,.0f} / {spacing.error_p99_us:,.0f}"
    return [
        f"{calibration.engine}, {calibration.connection}, {number_format.rate(rate)} RPS",
        three(calibration.duration_ms),
        number_format.ms(calibration.dispatch_delay_ms.get("p99")),
        number_format.count(calibration.cpu_us_per_request),
        gaps,
        errors,
        number_format.rate(calibration.ceiling_rps),
    ]


def cross_check(configuration: ConfigurationResults) -> Section | None:
    """Return the table of both engines and a sentence for each stage; None without a cross-check."""
    checks = configuration.cross_check
    if not checks:
        return None
    stages = {(stage.name, stage.repeat): stage for stage in configuration.stages}
    rows = [
        [_place(check), *row]
        for check in checks
        for row in (
            *map(_difference, check.differences),
            *_without_value(stages.get((check.stage, check.repeat), check.trial), check.trial),
        )
    ]
    head = ["Stage", "Metric", *checks[0].engines, "Difference"]
    return Section(table=table(head, rows) if rows else EMPTY, lines=tuple(map(_sentence, checks)))


def _place(check: CrossCheck) -> str:
    return stage_title(check.stage, check.repeat)


def _difference(pair: Difference) -> list[str]:
    title, values = pair.metric, [metric_text.plain(value) for value in pair.values]
    if metric := _BY_KEY.get(pair.metric):
        title, values = metric_text.heading(metric), [metric_text.figure(metric, v) for v in pair.values]
    change = f"{pair.ratio - 1:+.1%}".replace("%", " %") if pair.ratio else NOT_APPLICABLE
    return [title, *values, change if pair.same else markdown("**{}**", change)]


def _without_value(stage: Stage, other: Stage) -> Iterator[list[str]]:
    """Yield a row for each compared metric that has no finite value with an engine."""
    for metric in CROSS_CHECKED:
        if metric.unbounded(stage) or metric.unbounded(other):
            values = [metric_text.cell(metric, side) for side in (stage, other)]
            yield [metric_text.heading(metric), *values, NOT_APPLICABLE]


def _sentence(check: CrossCheck) -> Markdown:
    engines = markdown("{}: {} and {}", _place(check), *check.engines)
    if check.agrees and not any(_is_duration(pair) for pair in check.differences):
        return markdown("{} agree within 1 % in rate; no duration can be compared.", engines)
    if check.agrees:
        return markdown("{} agree within 1 % in rate and within 10 % or 0.2 ms in duration.", engines)
    return markdown("{} **disagree**; {}.", engines, _why(check))


def disagreement(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return one sentence about the first stage in which the engines disagree; empty if there is none."""
    checks = [check for one in configurations for check in one.cross_check if not check.agrees]
    if not checks:
        return EMPTY
    first, more = checks[0], len(checks) - 1
    others = f", as in {more} more stage{'s'[: more != 1]}" if more else ""
    names = (*first.engines, _place(first), others)
    return markdown("The engines {} and {} disagree at {}{}; {}.", *names, _why(first))


def _why(check: CrossCheck) -> Markdown:
    """Return what may explain a difference."""
    if not check.reasons:
        return markdown("the difference is unexplained")
    return markdown("possible reasons: {}", join("; ", check.reasons))


def _is_duration(pair: Difference) -> bool:
    return pair.metric.startswith("duration_ms.")
