"""The few numbers of every stage that belong on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report import numbers


def summary_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row a stage, in order; all rows have the same keys, which are the columns' headings."""
    configurations = results["configurations"]
    rows = [
        _row(configuration["name"], stage)
        for configuration in configurations
        for stage in configuration["stages"]
    ]
    if len(configurations) == 1:
        rows = [{name: cell for name, cell in row.items() if name != "configuration"} for row in rows]
    return rows


def _row(configuration: str, stage: Mapping[str, Any]) -> dict[str, str]:
    requests = stage["requests"]
    usage = stage["cpu_cores"].get("app") or {}
    return {
        "configuration": configuration,
        "stage": stage["name"],
        "actual RPS": _short(numbers.rate(stage["actual_rps"])),
        "achieved": _short(numbers.share(stage["achieved"])),
        "p95 ms": _short(numbers.ms(stage["duration_ms"]["p95"])),
        "app cores": _short(numbers.cores(usage.get("avg"))),
        "lost": f"{requests['failed'] + requests['dropped']:,}",
        "verdict": _verdict(stage),
    }


def _short(text: str) -> str:
    return "–" if text == numbers.NOT_MEASURED else text


def _verdict(stage: Mapping[str, Any]) -> str:
    if stage["status"] == "not-run":
        return "not run"
    validity = stage["validity"]["status"]
    code = stage["verdict"]["code"]
    return code if validity == "valid" else f"{code} ({validity})"
