"""What the generator itself contributes to a stage's numbers, as measured before it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from runner.core.facts import Calibration
from runner.core.units import PerSecond


def at_rate(calibration: Calibration, rate: PerSecond) -> Calibration:
    """What it says about one rate alone."""
    floors = tuple(floor for floor in calibration.floors if floor.target_rps == rate)
    return replace(calibration, floors=floors)


def above_ceiling(rate: PerSecond, calibration: Calibration) -> str | None:
    """What to know before a stage runs that the generator itself cannot offer; None when it can."""
    ceiling = calibration.ceiling_rps
    if ceiling is None or rate <= ceiling:
        return None
    return (
        f"{rate:,g} RPS is above the {ceiling:,.0f} that the generator could offer on this host; "
        "expect the stage to be invalid, or give it more load.workers"
    )


def as_json(calibration: Calibration | None) -> dict[str, Any] | None:
    """A stage's ``calibration`` in results.json: the floor at its rate, the ceiling, the spacing."""
    if calibration is None:
        return None
    floor = calibration.floors[0] if calibration.floors else None
    rate = floor.target_rps if floor else 0
    return {
        "made_at": calibration.made_at,
        "engine": calibration.engine,
        "connection": calibration.connection,
        "workers": calibration.workers,
        "ceiling_rps": calibration.ceiling_rps,
        "above_ceiling": above_ceiling(rate, calibration) is not None,
        "achieved": floor and round(floor.achieved, 6),
        "duration_ms": _rounded(floor.duration_ms) if floor else {},
        "dispatch_delay_ms": _rounded(floor.dispatch_delay_ms) if floor else {},
        "cpu_us_per_request": floor and floor.cpu_us_per_request and round(floor.cpu_us_per_request, 2),
        "spacing_us": _rounded(asdict(floor.spacing)) if floor and floor.spacing else None,
    }


def _rounded(values: Any) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
