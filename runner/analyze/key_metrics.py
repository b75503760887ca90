"""The numbers of a stage that repeats and comparisons are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Stage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Headline:
    """A number worth an interval.

    Attributes:
        key: Its name in results.json.
        unit: What it is counted in.
        value: Takes it from a stage; None when it was not measured.
        better: Whether more of it or less is good.
        noise: Standard deviation of the logarithm that is assumed between runs of the same system where
            there are no repeats to tell. `python -m tests.bench.noise` measures it; these are rounded up.
        weight: Its part of the error that a comparison may make: what decides gets more of it.
        relative: Whether it changes by factors; a share that is mostly 0 does not.
    """

    key: str
    unit: str
    value: Callable[[Stage], float | None]
    better: Literal["more", "less"]
    noise: float
    weight: int = 1
    relative: bool = True

    @property
    def robust(self) -> bool:
        """Whether other programs on the host hardly change it."""
        return self.key in {"actual_rps", "lost"}


def _latency(kind: str, which: str, noise: float, weight: int = 1) -> Headline:
    return Headline(f"{kind}.{which}", "ms", lambda stage: stage[kind].get(which), "less", noise, weight)


def _app(stage: Stage) -> float | None:
    usage = stage["cpu_cores"].get("app")
    return usage["avg"] if usage else None


def _lost(stage: Stage) -> float | None:
    requests = stage["requests"]
    if not requests["scheduled"]:
        return None
    return float((requests["failed"] + requests["dropped"]) / requests["scheduled"])


HEADLINES: Final = (
    Headline("actual_rps", "1/s", lambda stage: stage["actual_rps"], "more", 0.05, weight=2),
    _latency("duration_ms", "p50", 0.10),
    _latency("duration_ms", "p95", 0.15, weight=4),
    _latency("duration_ms", "p99", 0.6),
    _latency("response_time_ms", "p95", 0.15),
    Headline("cpu_cores.app", "cores", _app, "less", 0.10),
    Headline("lost", "share", _lost, "less", 0.0, relative=False),
)


def stages_by_name(results: Mapping[str, Any]) -> dict[tuple[str, str], list[Stage]]:
    """Those that are no probes by configuration and name, all repeats of one together."""
    found: dict[tuple[str, str], list[Stage]] = {}
    for configuration in results["configurations"]:
        for stage in configuration["stages"]:
            if not stage.get("find"):
                found.setdefault((configuration["name"], stage["name"]), []).append(stage)
    return found


def measured(stage: Stage) -> bool:
    """Whether a stage's numbers may be used: it ran to its end, and the instrument can be believed."""
    return bool(stage["status"] == "complete" and stage["validity"]["status"] != "invalid")
