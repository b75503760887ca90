"""CPU figures and validity of a stage whose observer stood still."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.analyze.resource_usage import observer_lateness
from runner.core.observed_facts import Sample
from tests.analyze.facts import HEALTHY, observed, stages_of

WINDOW_S = 4.0


def stopped(begin_s, end_s, interval=0.2, window_s=WINDOW_S):
    """Return when samples are taken if the observer stands still for a while: the missed ones at its end."""
    planned = [k * interval for k in range(-5, 2000) if k * interval < window_s] + [window_s]
    return [max(t, end_s) if begin_s < t < end_s else t for t in planned]


def cpu_at(t_s, cores):
    """Return the CPU time of a process that is busy until the window ends, and idle afterwards."""
    return 100 + cores * (min(t_s, WINDOW_S) + 1)


def stage(begin_s, end_s):
    cores = {"app": 0.5, "generator-1": 0.1, "runner": 0.01, "system": 1.0}
    samples = [
        Sample(t, {name: cpu_at(t, use) for name, use in cores.items()}, {"app": 2**20})
        for t in stopped(begin_s, end_s)
    ]
    facts = replace(HEALTHY, observed=replace(observed(0.5), samples=tuple(samples)))
    (judged,) = stages_of(facts)[:1]
    return judged


def test_an_observer_in_time_is_valid():
    judged = stage(0, 0)

    assert (judged.validity.status, judged.validity.reasons) == ("valid", ())
    assert judged.cpu_cores["app"].avg == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "late_s"),
    [
        (1.9, 6.1, 4.1),  # over the window's end: half of the time until the closing sample was idle
        (3.9, 8.0, 4.0),
        (3.9, 6.1, 2.1),
        (-0.5, 1.3, 1.3),
        (1.1, 2.9, 1.7),
    ],
)
def test_an_observer_that_was_late_makes_the_stage_suspect_and_does_not_change_the_cpu(
    begin_s, end_s, late_s
):
    judged = stage(begin_s, end_s)

    assert judged.validity.status == "suspect"
    (reason,) = judged.validity.reasons
    assert f"the observer was {late_s:.1f} s late in a window of 4 s" in reason
    assert judged.cpu_cores["app"].avg == pytest.approx(0.5)
    assert judged.cpu_cores["system"].avg == pytest.approx(1.0)


@pytest.mark.parametrize(("begin_s", "end_s"), [(3.9, 4.05), (-0.05, 0.15), (1.9, 2.7)])
def test_lateness_within_the_bound_is_accepted(begin_s, end_s):
    judged = stage(begin_s, end_s)

    assert judged.validity.status == "valid"
    assert judged.cpu_cores["app"].avg == pytest.approx(0.5, rel=0.05)


@given(st.floats(0.05, 2), st.floats(0.5, 60))
def test_samples_in_time_are_never_late(interval, window_s):
    samples = [Sample(t, {}, {}) for t in stopped(0, 0, interval, window_s)]

    assert observer_lateness(samples, window_s) == pytest.approx((0, 0), abs=1e-6)


@given(st.floats(0.05, 1), st.floats(2, 60), st.floats(0, 1), st.floats(0.5, 10))
def test_a_stop_over_the_windows_end_is_its_lateness(interval, window_s, share, stop_s):
    begin_s = window_s - stop_s * share
    samples = [Sample(t, {}, {}) for t in stopped(begin_s - 1e-6, begin_s + stop_s, interval, window_s)]

    at_ends_s, between_s = observer_lateness(samples, window_s)

    end_s = begin_s + stop_s
    assert at_ends_s == pytest.approx(max(0, end_s - window_s, end_s if begin_s <= 0 else 0), abs=1e-5)
    assert between_s <= stop_s + interval


def test_a_stage_that_was_aborted_is_not_late_because_it_is_short():
    samples = [Sample(t, {}, {}) for t in stopped(0, 0) if t < 2]

    assert observer_lateness(samples, WINDOW_S) == (0, 0)


def test_nothing_was_late_where_nothing_was_sampled():
    assert observer_lateness([], WINDOW_S) == (0, 0)
