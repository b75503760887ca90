"""The generator's own error, measured against a no-op server."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.model import Load, Request, Stage
from runner.load.calibrate import calibrate, planned_arrivals, spacing

pytestmark = pytest.mark.usefixtures("preloaded_workers")
US = 1000


@given(st.lists(st.integers(1, 10**9), min_size=30, max_size=60), st.integers(0, 10**18))
def test_arrivals_as_planned_have_no_error_whenever_they_began(gaps, began):
    planned = [sum(gaps[:k]) for k in range(len(gaps))]

    measured = spacing([began + at for at in planned], planned)

    assert (measured.error_p50_us, measured.error_p99_us) == (0, 0)
    assert measured.median_gap_us == measured.planned_gap_us


def test_one_late_arrival_is_two_wrong_gaps():
    planned = [k * 1000 * US for k in range(101)]
    arrived = list(planned)
    arrived[50] += 300 * US

    measured = spacing(arrived, planned)

    assert measured.median_gap_us == 1000
    assert (measured.error_p50_us, measured.error_p99_us) == (0, 300)


def test_gaps_that_cannot_be_paired_have_no_spacing():
    planned = [k * 1000 * US for k in range(100)]

    assert spacing(planned[:99], planned) is None
    assert spacing(planned[:3], planned[:3]) is None


def test_the_plan_is_that_of_the_specification():
    stage = Stage(rps=100, duration=1, warmup=0.5)

    assert planned_arrivals(Load(), stage) == [k * 10_000 * US for k in range(150)]
    assert planned_arrivals(Load(arrivals="poisson", seed=7), stage) != planned_arrivals(Load(), stage)


@pytest.mark.parametrize(
    "load",
    [
        Load(connection="new", request=Request(method="POST", path="/x", body="y" * 100_000)),
        Load(arrivals="poisson", request=Request(method="HEAD"), quantum="250us"),
    ],
    ids=["new", "keep-alive"],
)
async def test_every_planned_rate_has_a_baseline_and_the_generator_a_ceiling(load):
    pids = []

    calibration = await calibrate(load, [200, 100, 200], on_spawn=pids.append)

    assert [floor.target_rps for floor in calibration.floors] == [100, 200]
    for floor in calibration.floors:
        assert floor.achieved > 0  # its size is a matter of time
        assert floor.duration_ms["p50"] <= floor.duration_ms["p99"]
        assert floor.spacing.planned_gap_us > 0
    assert calibration.ceiling_rps > 200
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
