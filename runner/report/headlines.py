"""How the numbers that repeats and comparisons are about are called and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from runner.report import number_format

TITLES: Final = {
    "actual_rps": "Actual RPS",
    "duration_ms.p50": "p50 Duration (ms)",
    "duration_ms.p95": "p95 Duration (ms)",
    "duration_ms.p99": "p99 Duration (ms)",
    "response_time_ms.p95": "p95 Response Time (ms)",
    "cpu_cores.app": "App CPU (cores)",
    "lost": "Failed or Dropped",
}
_SHOWN: Final[dict[str, Callable[[float | None], str]]] = {
    "actual_rps": number_format.rate,
    "cpu_cores.app": number_format.cores,
    "lost": number_format.share,
}


def shown(key: str, value: float | None) -> str:
    """A headline number as text."""
    return _SHOWN.get(key, number_format.ms)(value)
