"""A counter is used if it was read at both ends of the window and never decreased; else it is listed."""

import math

from hypothesis import given
from hypothesis import strategies as st

from runner.core.observed_facts import Unreadable
from runner.observe.counters.level import Level, gauge
from runner.observe.counters.series import (
    DECREASED,
    NEVER_READ,
    NOT_COUNTED,
    ONE_END,
    TOO_MANY,
    ReadAt,
    Readings,
    When,
)


def read(*values, make=Level):
    """Conclude the readings of one counter, from the window's begin to its end; None is a failed reading."""
    readings = Readings()
    instants = [When.BEGIN, *[When.BETWEEN] * (len(values) - 2), When.END]
    for value, when in zip(values, instants, strict=True):
        if value is None:
            readings.fail("host", "family", "not permitted", when)
        else:
            readings.add("host", "family", {"name": make(value)}, when)
    return readings.conclude()


@given(st.lists(st.integers(0, 10**15), min_size=2).map(sorted))
def test_a_counter_that_only_rose_has_its_first_and_its_last_value(values):
    (counter,), unreadable = read(*values)

    assert (counter.before, counter.after, counter.peak) == (values[0], values[-1], None)
    assert unreadable == ()


@given(st.lists(st.integers(0, 10**15), min_size=2))
def test_a_counter_that_decreased_is_listed_even_if_it_rose_above_its_start_again(values):
    counters, unreadable = read(*values)

    if values == sorted(values):
        assert counters
    else:
        assert counters == ()
        assert [(fault.name, fault.reason) for fault in unreadable] == [("name", DECREASED)]


@given(st.lists(st.integers(0, 1000), min_size=2))
def test_a_gauge_may_fall_and_keeps_its_peak(values):
    (counter,), _ = read(*values, make=gauge)

    assert (counter.before, counter.after, counter.peak) == (values[0], values[-1], max(values))


@given(
    st.one_of(
        st.sampled_from([math.nan, math.inf, -math.inf, 1.1e15, 1e308, -1, -1e-9]),
        st.floats().filter(lambda value: not 0 <= value <= 1e15),
        st.integers(10**15 + 1),
    ),
    st.sampled_from([0, 2]),
    st.sampled_from([Level, gauge]),
)
def test_a_value_out_of_bounds_at_either_end_is_not_readable(value, index, make):
    values = [5, 5, 5]
    values[index] = value

    counters, (fault,) = read(*values, make=make)

    assert counters == ()
    assert fault.name == "name"
    assert "is not between 0 and 1e+15" in fault.reason


def test_a_value_out_of_bounds_in_between_is_left_out():
    (counter,), unreadable = read(5, math.nan, 9, make=gauge)

    assert (counter.before, counter.after, counter.peak, unreadable) == (5, 9, 9, ())


def test_a_peak_out_of_bounds_makes_its_counter_unreadable():
    counters, (fault,) = read(5, 6, make=lambda value: Level(value, "s", "gauge", peak=math.inf))

    assert (counters, fault.reason) == ((), "its value, inf, is not between 0 and 1e+15")


def test_a_limit_that_nothing_can_reach_is_none():
    (counter,), _ = read(5, 6, make=lambda value: gauge(value, limit=2.0**62))

    assert counter.limit is None


def test_a_source_with_too_many_counters_is_not_readable():
    readings = Readings()
    for when in When.BEGIN, When.END:
        readings.add("net:host", "queues", {f"q.{n}": gauge(1) for n in range(5_001)}, when)

    assert readings.conclude() == ((), (Unreadable("net:host", "queues", TOO_MANY),))


def test_a_source_that_failed_at_either_end_gives_no_counter():
    for values in [(None, 5, 5), (5, 5, None), (None, None)]:
        counters, unreadable = read(*values)

        assert counters == ()
        assert [(fault.name, fault.reason) for fault in unreadable] == [("family", "not permitted")]


def test_a_source_that_failed_in_between_keeps_its_ends():
    (counter,), unreadable = read(5, None, 9)

    assert (counter.before, counter.after, unreadable) == (5, 9, ())


def test_a_counter_that_appeared_or_disappeared_in_the_window_is_listed():
    for when in When.BEGIN, When.END:
        readings = Readings()
        readings.add("net:host", "queues", {"tcp.accept_queue.80": gauge(1)}, when)
        readings.add("net:host", "queues", {}, When.BEGIN if when is When.END else When.END)

        counters, (fault,) = readings.conclude()

        assert counters == ()
        assert (fault.name, fault.reason) == ("tcp.accept_queue.80", ONE_END)


def test_a_counter_that_the_kernel_lacks_is_listed_and_not_zero():
    readings = Readings()
    for when in When.BEGIN, When.END:
        readings.add("net:host", "tcp", {"tcp.listen_drops": Level(3), "tcp.req_q_full_drops": None}, when)

    (counter,), (fault,) = readings.conclude()

    assert counter.name == "tcp.listen_drops"
    assert (fault.name, fault.reason) == ("tcp.req_q_full_drops", NOT_COUNTED)


def read_at(begin_s, end_s):
    """Conclude a counter that was read at these times of a window of 10 s."""
    readings = Readings()
    readings.expect("nginx", "page")
    readings.add("nginx", "page", {"requests": Level(10)}, When.BEGIN, ReadAt(0.0, begin_s))
    readings.add("nginx", "page", {"requests": Level(90)}, When.END, ReadAt(10.0, end_s))
    return readings.conclude()


def test_a_counter_that_is_read_late_says_which_time_it_covers():
    (late,), unreadable = read_at(0.02, 12.5)
    (in_time,), _ = read_at(0.02, 10.03)

    assert (late.from_s, late.to_s) == (0.02, 12.5)
    assert (in_time.from_s, in_time.to_s) == (None, None)
    assert unreadable == ()


def test_a_source_that_is_never_read_is_listed():
    readings = Readings()
    readings.expect("nginx", "page")

    assert readings.conclude() == ((), (Unreadable("nginx", "page", NEVER_READ),))
