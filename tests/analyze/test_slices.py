"""The slices of a ramp, and thresholds on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analyze.measured import Offer, measured
from runner.analyze.slices import bounds, slices, with_cpu
from runner.analyze.thresholds import evaluate
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.ramp import Ramp
from runner.experiment.thresholds import Threshold
from tests.analyze.simulated import Ended, order, simulate
from tests.analyze.stages import stage

RAMP = Ramp(100.0, 300.0)


def slower_from(at_s):
    """A server that takes 10 ms, and 200 ms from a time on."""
    return lambda due: [Ended(at, at + (0.2 if at >= at_s else 0.01)) for at in due]


@pytest.fixture(scope="module")
def facts():
    return simulate(order(100.0, 20.0, rate_to=300.0), slower_from(12.0))


@given(st.floats(2, 100_000))
def test_ten_to_twenty_slices_of_whole_seconds_cover_the_window(window):
    ends = bounds(window)
    lengths = [end - begin for begin, end in zip([0.0, *ends], ends, strict=False)]

    assert ends[-1] == window
    assert min(lengths) >= 1
    assert all(end == int(end) for end in ends[:-1])
    assert len(ends) == min(max(10, int(window) // 5), 20, int(window))
    assert max(lengths[:-1]) - min(lengths[:-1]) <= 1


def test_every_request_is_in_one_slice_at_the_level_of_its_time(facts):
    parts = slices(facts, RAMP, 20.0)

    assert [part.level.mean for part in parts] == [110.0 + 20 * n for n in range(10)]
    assert [part.due for part in parts] == [220 + 40 * n for n in range(10)]
    assert sum(part.requests.scheduled for part in parts) == facts.planned == 4000
    p95s = [part.duration_ms.p95 for part in parts]
    assert p95s == pytest.approx([10.0] * 6 + [200.0] * 4, rel=0.01)


def whole(facts):
    values = measured(facts, Offer(200.0, 20.0, 0.0, RAMP, None))
    fields = {name: getattr(values, name) for name in values.__struct_fields__}
    return stage(**fields, ramp=RAMP, slices=slices(facts, RAMP, 20.0))


@pytest.mark.parametrize(
    ("expr", "ok", "value", "level"),
    [
        ("duration.p95 < 50ms", False, 200, 230.0),
        ("duration.p95 < 1s", True, 200, None),
        ("duration.p50 > 100ms", False, 10, 110.0),
        ("errors < 1%", True, 0, None),
    ],
)
def test_a_threshold_fails_in_the_first_slice_that_breaks_it(facts, expr, ok, value, level):
    [result] = evaluate([Threshold.model_validate(expr)], whole(facts))

    assert result.ok is ok
    assert result.value == pytest.approx(value, rel=0.01)
    assert (result.level or None) == level


def test_a_rate_is_one_of_the_whole_ramp(facts):
    [result] = evaluate([Threshold.model_validate("achieved >= 98%")], whole(facts))

    assert (result.ok, result.level or None, result.bound or None) == (True, None, None)


def test_each_slice_has_the_cores_that_every_role_used_in_it(facts):
    subjects = (
        Subject("app-1", "app", "tree"),
        Subject("app-2", "app", "tree"),
        Subject("host", "system", "system"),
    )
    samples = tuple(
        Sample(float(second), {"app-1": 0.02 * second**2, "app-2": 0.5 * second, "host": 1.5 * second}, {})
        for second in range(21)
    )
    parts = with_cpu(slices(facts, RAMP, 20.0), ObservedFacts(subjects=subjects, samples=samples))

    assert [part.cpu_cores["app"] for part in parts] == [round(0.54 + 0.08 * n, 4) for n in range(10)]
    assert {part.cpu_cores["system"] for part in parts} == {1.5}
