"""What the instrument itself contributes: its floor, its spacing, and what another engine saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report import number_format
from runner.report.markdown_text import escape, table
from runner.report.tables import stage_name

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]


def calibrations(configurations: Sequence[Configuration]) -> str:
    """What every engine shows at every rate with nothing to measure; empty without a calibration."""
    found = {
        (own["engine"], own["connection"], stage["target_rps"]): own
        for configuration in configurations
        for stage in _every_stage(configuration)
        if (own := stage.get("calibration")) and own["duration_ms"]
    }
    head = [
        "Engine, connections, rate",
        "Duration p50 / p95 / p99 (ms)",
        "Dispatch delay p99 (ms)",
        "CPU a request (µs)",
        "Gap planned / seen (µs)",
        "Spacing error p50 / p99 (µs)",
        "Ceiling (RPS)",
    ]
    rows = [
        [
            f"{escape(engine)}, {connection}, {number_format.rate(rate)} RPS",
            _three(own["duration_ms"]),
            number_format.ms(own["dispatch_delay_ms"].get("p99")),
            _us(own["cpu_us_per_request"]),
            _spacing(own, "planned_gap_us", "median_gap_us"),
            _spacing(own, "error_p50_us", "error_p99_us"),
            number_format.NOT_MEASURED
            if own["ceiling_rps"] is None
            else number_format.rate(own["ceiling_rps"]),
        ]
        for (engine, connection, rate), own in found.items()
    ]
    return table(head, rows) if rows else ""


def _every_stage(configuration: Configuration) -> list[Stage]:
    return [*configuration["stages"], *(each["trial"] for each in configuration.get("cross_check", ()))]


def _three(duration: Mapping[str, float]) -> str:
    return " / ".join(number_format.ms(duration.get(name)) for name in ("p50", "p95", "p99"))


def _us(value: float | None) -> str:
    return number_format.NOT_MEASURED if value is None else f"{value:,.0f}"


def _spacing(own: Mapping[str, Any], *names: str) -> str:
    spacing = own["spacing_us"]
    return " / ".join(_us(spacing[name]) for name in names) if spacing else number_format.NOT_MEASURED


def cross_check(configuration: Configuration) -> dict[str, Any] | None:
    """The table of both engines and a sentence a stage; None when no stage was cross-checked."""
    checks = configuration.get("cross_check") or []
    if not checks:
        return None
    first, second = checks[0]["engines"]
    head = ["Stage", "Metric", first, second, "Difference"]
    rows = [
        [
            _of(check),
            _metric(each["metric"]),
            *(_value(each["metric"], value) for value in each["values"]),
            _difference(each),
        ]
        for check in checks
        for each in check["differences"]
    ]
    return {"table": table(head, rows) if rows else "", "lines": [_sentence(check) for check in checks]}


def _of(check: Mapping[str, Any]) -> str:
    return stage_name({"name": check["stage"], "repeat": check["repeat"]})


def _metric(name: str) -> str:
    if name == "actual_rps":
        return "Actual RPS"
    latency, _, statistic = name.partition("_ms.")
    return f"{statistic} {latency.capitalize()} (ms)"


def _value(metric: str, value: float) -> str:
    return number_format.rate(value) if metric == "actual_rps" else number_format.ms(value)


def _difference(each: Mapping[str, Any]) -> str:
    shown = f"{each['ratio'] - 1:+.1%}" if each["ratio"] else number_format.NOT_MEASURED
    return shown if each["same"] else f"**{shown}**"


def _sentence(check: Mapping[str, Any]) -> str:
    first, second = check["engines"]
    if check["agrees"]:
        bounds = "within 1 % of the rate and 10 % or 0.2 ms of the durations"
        return f"{_of(check)}: {first} and {second} agree {bounds}."
    reasons = "; ".join(escape(reason) for reason in check["reasons"])
    why = f" What explains it: {reasons}." if reasons else " Nothing that was measured explains it."
    return f"{_of(check)}: {first} and {second} **disagree**.{why}"
