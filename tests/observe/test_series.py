"""A counter is used if it was read at both ends of the window and never decreased; else it is listed."""

from hypothesis import given
from hypothesis import strategies as st

from runner.observe.counters.level import Level, gauge
from runner.observe.counters.series import DECREASED, NOT_COUNTED, ONE_END, Readings, When


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


@given(st.lists(st.integers(0, 2**63), min_size=2).map(sorted))
def test_a_counter_that_only_rose_has_its_first_and_its_last_value(values):
    (counter,), unreadable = read(*values)

    assert (counter.before, counter.after, counter.peak) == (values[0], values[-1], None)
    assert unreadable == ()


@given(st.lists(st.integers(0, 2**63), min_size=2))
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
