"""The few numbers of every stage that belong on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.report import number_format
from runner.report.capacity import shown
from runner.report.sparkline import sparkline
from runner.report.tables import threshold_value

_WIDTH: Final = 12
WORDS: Final = frozenset({"configuration", "stage", "rate over time", "verdict"})
"""Columns that hold no figures."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept.

    Attributes:
        configuration: Its name.
        stage: Its name, with its repeat.
        expr: The threshold as it was written.
        measured: What was measured, with its unit.
    """

    configuration: str
    stage: str
    expr: str
    measured: str


def broken_thresholds(results: Mapping[str, Any]) -> list[Broken]:
    """Every threshold that failed, in the order of the stages."""
    return [
        Broken(configuration["name"], _name(stage), each["expr"], threshold_value(each))
        for configuration in results["configurations"]
        for stage in configuration["stages"]
        for each in stage["thresholds"]
        if not each["ok"]
    ]


def summary_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row a stage, in order, of searches only what decides them; all have the same keys, the headings."""
    configurations = results["configurations"]
    rows = [
        _row(configuration["name"], stage)
        for configuration in configurations
        for stage in shown(configuration)["stages"]
    ]
    if len(configurations) == 1:
        rows = [{name: cell for name, cell in row.items() if name != "configuration"} for row in rows]
    return rows


def _name(stage: Mapping[str, Any]) -> str:
    return str(stage["name"]) + (f" (repeat {stage['repeat']})" if stage["repeat"] > 1 else "")


def _row(configuration: str, stage: Mapping[str, Any]) -> dict[str, str]:
    requests = stage["requests"]
    usage = stage["cpu_cores"].get("app") or {}
    return {
        "configuration": configuration,
        "stage": _name(stage),
        "actual RPS": _short(number_format.rate(stage["actual_rps"])),
        "achieved": _short(number_format.share(stage["achieved"])),
        "rate over time": _curve(stage),
        "p95 ms": _short(number_format.ms(stage["duration_ms"]["p95"])),
        "app cores": _short(number_format.cores(usage.get("avg"))),
        "lost": f"{requests['failed'] + requests['dropped']:,}",
        "verdict": _verdict(stage),
    }


def _curve(stage: Mapping[str, Any]) -> str:
    """Answers a second against the target; the full height is the target."""
    rates = [each.get("rps") for each in stage["timeseries"] if each["t_s"] > 0]
    return sparkline(rates, top=stage["target_rps"], width=_WIDTH)


def _short(text: str) -> str:
    return "–" if text == number_format.NOT_MEASURED else text


def _verdict(stage: Mapping[str, Any]) -> str:
    if stage["status"] == "not-run":
        return "not run"
    validity = stage["validity"]["status"]
    code = stage["verdict"]["code"]
    return code if validity == "valid" else f"{code} ({validity})"
