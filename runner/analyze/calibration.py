"""What the generator itself contributes to a stage's measurements, as calibrated before the run."""

from __future__ import annotations

import math

from msgspec import UNSET
from msgspec.structs import astuple, replace

from runner.analyze.statistics import rounded
from runner.core.calibration_facts import Calibration, Floor
from runner.core.observed_results import SpacingError, StageCalibration
from runner.core.units import PerSecond


def at_rate(calibration: Calibration, rate: PerSecond) -> Calibration:
    """Return the calibration with only the baseline for one rate.

    That is the one at this rate, else at the next higher one, else at the highest: the rates that
    a search tries are not known before it begins.
    """
    floors = sorted(calibration.floors, key=lambda floor: floor.target_rps)
    nearest = [floor for floor in floors if floor.target_rps >= rate][:1] or floors[-1:]
    return replace(calibration, floors=tuple(nearest) if rate else ())  # users have no rate


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


def _is_rate(floor: Floor, rate: PerSecond | None) -> bool:
    return rate is None or math.isclose(floor.target_rps, rate)


def stage_calibration(calibration: Calibration | None, rate: PerSecond | None) -> StageCalibration | None:
    """Return the calibration of a stage: the ceiling, and the baseline for its highest rate, if any."""
    if calibration is None:
        return None
    floor = calibration.floors[0] if calibration.floors else None
    durations, delays = (floor.duration_ms, floor.dispatch_delay_ms) if floor else ({}, {})
    spacing = floor.spacing if floor else None
    return StageCalibration(
        made_at=calibration.made_at,
        engine=calibration.engine,
        connection=calibration.connection,
        workers=calibration.workers,
        ceiling_rps=calibration.ceiling_rps,
        above_ceiling=floor is not None and _is_above(rate or floor.target_rps, calibration),
        achieved=round(floor.achieved, 6) if floor else None,
        duration_ms={name: round(value, 4) for name, value in durations.items()},
        dispatch_delay_ms={name: round(value, 4) for name, value in delays.items()},
        cpu_us_per_request=rounded(floor.cpu_us_per_request, 2) if floor else None,
        spacing_us=SpacingError(*(round(value, 4) for value in astuple(spacing))) if spacing else None,
        measured_at_rps=UNSET if floor is None or _is_rate(floor, rate) else floor.target_rps,
    )
