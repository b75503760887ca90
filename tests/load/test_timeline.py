"""Every instant is in one second of the stage, and every second is reported once and in order."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from runner.core.units import NS_PER_S
from runner.load.timeline import Timeline

START = 1_700_000_000 * NS_PER_S
warmups = st.sampled_from([0.0, 0.3, 1.0, 2.5])
durations = st.sampled_from([0.2, 1.0, 1.5, 3.0])


def lengths(warmup: float, duration: float) -> list[int]:
    """Return the indices of the stage's own seconds."""
    return list(range(-math.ceil(warmup), math.ceil(duration)))


@given(warmups, durations, st.lists(st.floats(0, 8), max_size=20))
def test_seconds_are_reported_once_in_order_and_without_gaps(warmup, duration, instants):
    emitted = []
    timeline = Timeline(START, warmup, duration, emitted.append)
    for instant in sorted(instants):
        now = START + round(instant * NS_PER_S)
        timeline.advance(now)
        timeline.close(now)
    timeline.close_all()

    indices = [tally.index for tally in emitted]
    assert indices == list(range(-math.ceil(warmup), indices[-1] + 1))
    assert len(indices) >= 1


@given(warmups, durations, st.floats(0, 8))
def test_a_response_after_the_windows_end_is_in_no_second_of_the_window(warmup, duration, instant):
    timeline = Timeline(START, warmup, duration, lambda _: None)
    at = START + round(instant * NS_PER_S)

    index = timeline.at(at).index

    assert (index < 0) == (at < timeline.measure_ns)
    assert (index >= math.ceil(duration)) == (at >= timeline.end_ns)


@given(warmups, durations, st.floats(0, 8), st.floats(-3, 3))
def test_the_bounds_of_the_current_second_agree_with_the_second_of_an_instant(warmup, duration, now, other):
    timeline = Timeline(START, warmup, duration, lambda _: None)
    timeline.advance(START + round(now * NS_PER_S))
    instant = START + round((now + other) * NS_PER_S)
    assume(instant >= START)

    inside = timeline.begins_ns <= instant < timeline.ends_ns

    assert inside == (timeline.at(instant) is timeline.current)


def test_a_reading_within_the_grace_period_counts_in_its_own_second():
    emitted = []
    timeline = Timeline(START, 0, 3, emitted.append)
    timeline.advance(START + NS_PER_S + 50_000_000)
    timeline.close(START + NS_PER_S + 50_000_000)

    timeline.at(START + NS_PER_S - 1).completed += 1
    timeline.close(START + NS_PER_S + 200_000_000)

    assert [(tally.index, tally.completed) for tally in emitted] == [(0, 1)]


def test_a_later_reading_counts_in_the_oldest_open_second():
    timeline = Timeline(START, 0, 3, lambda _: None)
    timeline.advance(START + 2 * NS_PER_S)
    timeline.close(START + 2 * NS_PER_S)

    assert timeline.at(START).index == 1


def test_after_a_stall_events_still_count_in_their_own_seconds():
    emitted = []
    timeline = Timeline(START, 0, 5, emitted.append)
    timeline.advance(START + 3 * NS_PER_S + 500_000_000)

    for instant_s in (0.5, 1.5, 2.5, 3.5):
        timeline.at(START + round(instant_s * NS_PER_S)).completed += 1
    timeline.close(START + 3 * NS_PER_S + 500_000_000)
    timeline.close_all()

    assert [(tally.index, tally.completed) for tally in emitted] == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_a_stepped_clock_moves_the_seconds_with_it():
    timeline = Timeline(START, 0, 3, lambda _: None)
    timeline.shift(NS_PER_S)

    assert timeline.at(START + NS_PER_S).index == 0
    assert timeline.at(START + 2 * NS_PER_S).index == 1
