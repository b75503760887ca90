"""One row a stage, for spreadsheets and data frames: plain numbers, fixed columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

Stage = Mapping[str, Any]

_LATENCIES: Final = ("duration_ms", "response_time_ms", "connect_ms", "dispatch_delay_ms")
_PERCENTILES: Final = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
_ROLES: Final = ("app", "proxy", "forwarder", "generator", "runner", "daemon", "other", "system")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def render_csv(results: Mapping[str, Any]) -> str:
    """RFC 4180 text with a heading; an empty cell is a number that was not measured.

    Text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection).
    """
    text = io.StringIO()
    rows = [
        {"experiment": results["experiment"]["name"], "configuration": configuration["name"], **_row(stage)}
        for configuration in results["configurations"]
        for stage in configuration["stages"]
    ]
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _row(stage: Stage) -> dict[str, Any]:
    requests, verdict = stage["requests"], stage["verdict"]
    row = {
        "stage": stage["name"],
        "repeat": stage["repeat"],
        "engine": stage.get("engine"),
        "status": stage["status"],
        "validity": stage["validity"]["status"],
        "verdict": verdict["code"],
        "confidence": verdict["confidence"],
        "thresholds_failed": sum(not each["ok"] for each in stage["thresholds"]),
        "window_s": stage["window_s"],
        "target_rps": stage["target_rps"],
        "actual_rps": stage["actual_rps"],
        "achieved": stage["achieved"],
    }
    row |= {key: requests[key] for key in ("scheduled", "sent", "succeeded", "failed", "dropped")}
    row |= {f"{key}.{name}": (stage[key] or {}).get(name) for key in _LATENCIES for name in _PERCENTILES}
    for role in _ROLES:
        usage = stage["cpu_cores"].get(role) or {}
        row |= {f"cpu_cores.{role}.{key}": usage.get(key) for key in ("avg", "peak")}
    return row


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
