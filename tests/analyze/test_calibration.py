"""Each stage has the generator's baseline for its own rate, or the nearest one that was measured."""

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.calibration import at_rate, stage_calibration
from runner.core.calibration_facts import Calibration, Floor
from runner.report import generator_accuracy, tables
from tests.analyze.stages import stage
from tests.analyze.systems import stored


def calibrated(*rates: float) -> Calibration:
    """Return a calibration whose p50 in ms is a thousandth of each rate."""
    of_rate = ({"p50": rate / 1000, "p95": 1.0, "p99": 2.0} for rate in rates)
    floors = tuple(Floor(rate, 1.0, ms, {}, None, None) for rate, ms in zip(rates, of_rate, strict=True))
    return Calibration("2026-01-02T03:04:05+00:00", "keep-alive", 1, floors, 40_000)


@pytest.mark.parametrize(
    ("rate", "p50", "measured_at"),
    [(400, 0.4, UNSET), (190, 0.4, 400), (401, 1.0, 1000), (1000, 1.0, UNSET), (2000, 1.0, 1000)],
)
def test_a_rate_without_a_baseline_of_its_own_has_the_next_one(rate, p50, measured_at):
    found = stage_calibration(at_rate(calibrated(1000, 400), rate), rate)

    assert found is not None
    assert (found.duration_ms["p50"], found.measured_at_rps) == (p50, measured_at)


def test_users_have_no_rate_and_no_baseline():
    found = stage_calibration(at_rate(calibrated(400), 0.0), None)

    assert found is not None
    assert (found.duration_ms, found.measured_at_rps) == ({}, UNSET)


def test_a_stage_above_the_ceiling_is_marked_although_the_baseline_is_of_another_rate():
    marked = [
        calibration.above_ceiling
        for rate in (39_000, 41_000)
        if (calibration := stage_calibration(at_rate(calibrated(400), rate), rate))
    ]
    assert marked == [False, True]


def test_the_report_names_the_rate_of_a_baseline_that_is_not_that_of_the_stage():
    probes = [
        stage(target_rps=float(rate), calibration=stage_calibration(at_rate(calibrated(400), rate), rate))
        for rate in (190, 400)
    ]

    details = tables.details(probes)
    assert "0.40 / 1.00 / 2.00 (at 400 RPS) |" in details
    assert "0.40 / 1.00 / 2.00 |" in details
    searched = replace(stored("single-process").configurations[0], stages=tuple(probes), cross_check=())
    (row,) = generator_accuracy.baselines([searched]).splitlines()[2:]
    assert row.startswith("| builtin, keep-alive, 400 RPS |")
