"""What the generator itself contributes to a stage's measurements, as calibrated before the run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from runner.core.facts import Calibration, Spacing
from runner.core.results import SpacingError, StageCalibration
from runner.core.units import PerSecond


def at_rate(calibration: Calibration, rate: PerSecond) -> Calibration:
    """Return the calibration with only the baseline at one rate."""
    floors = tuple(floor for floor in calibration.floors if floor.target_rps == rate)
    return replace(calibration, floors=floors)


def above_ceiling(rate: PerSecond, calibration: Calibration) -> str | None:
    """Return a warning about a rate that the generator cannot offer; None if it can."""
    if not _is_above(rate, calibration):
        return None
    return (
        f"{rate:,g} RPS exceeds the {calibration.ceiling_rps:,.0f} RPS that the generator can offer on this "
        "host; the stage will probably be invalid (increase load.workers)"
    )


def _is_above(rate: PerSecond, calibration: Calibration) -> bool:
    return calibration.ceiling_rps is not None and rate > calibration.ceiling_rps


def stage_calibration(calibration: Calibration | None) -> StageCalibration | None:
    """Return the calibration of a stage: the ceiling, and the baseline at the stage's rate.

    Args:
        calibration: With at most one baseline; None if the generator was not calibrated.
    """
    if calibration is None:
        return None
    floor = calibration.floors[0] if calibration.floors else None
    cpu_us = floor.cpu_us_per_request if floor else None
    return StageCalibration(
        made_at=calibration.made_at,
        engine=calibration.engine,
        connection=calibration.connection,
        workers=calibration.workers,
        ceiling_rps=calibration.ceiling_rps,
        above_ceiling=floor is not None and _is_above(floor.target_rps, calibration),
        achieved=round(floor.achieved, 6) if floor else None,
        duration_ms=_rounded(floor.duration_ms) if floor else {},
        dispatch_delay_ms=_rounded(floor.dispatch_delay_ms) if floor else {},
        cpu_us_per_request=None if cpu_us is None else round(cpu_us, 2),
        spacing_us=_spacing(floor.spacing) if floor and floor.spacing else None,
    )


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _spacing(spacing: Spacing) -> SpacingError:
    return SpacingError(
        planned_gap_us=round(spacing.planned_gap_us, 4),
        median_gap_us=round(spacing.median_gap_us, 4),
        error_p50_us=round(spacing.error_p50_us, 4),
        error_p99_us=round(spacing.error_p99_us, 4),
    )
