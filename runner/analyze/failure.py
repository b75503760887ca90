"""How and when a system under test failed in a stage: one story for every report, threshold and JUnit."""

from __future__ import annotations

from runner.core.codes import StageStatus
from runner.core.observed_results import StageEvent
from runner.core.stage_results import Stage
from runner.core.units import Seconds


def failure(stage: Stage) -> str:
    """Return what happened to the system under test, and when; without a full stop, empty if it ran on."""
    event = _event(stage)
    if stage.status is not StageStatus.FAILED:
        return ""
    if event is None:
        return "the system under test failed"
    return f"{event.message}{_when(event.t_s)}"


def lasted_s(stage: Stage) -> Seconds | None:
    """Return how much of the measured window a stage that failed ran for; None without any."""
    event = _event(stage)
    if event is None or event.t_s is None or event.t_s <= 0:
        return None
    return min(event.t_s, stage.window_s)


def _event(stage: Stage) -> StageEvent | None:
    return stage.events[0] if stage.status is StageStatus.FAILED and stage.events else None


def _when(t_s: Seconds | None) -> str:
    if t_s is None:
        return ""
    if t_s <= 0:
        return " during the warm-up"
    return f" {t_s:.1f} s into the measured window"
