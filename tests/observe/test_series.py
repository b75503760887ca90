"""A counter is used when it was read at both ends of the window and never went back; else it is named."""

from hypothesis import given
from hypothesis import strategies as st

from runner.observe.counters.level import Level, gauge
from runner.observe.counters.series import NOT_COUNTED, ONE_END, WENT_BACK, Ledger, When


def read(*values, make=Level):
    """A ledger of one counter: read at the window's begin, in between, and its end; None: it failed."""
    ledger = Ledger()
    places = [When.BEGIN, *[When.BETWEEN] * (len(values) - 2), When.END]
    for value, when in zip(values, places, strict=True):
        if value is None:
            ledger.fail("host", "family", "not permitted", when)
        else:
            ledger.take("host", "family", {"name": make(value)}, when)
    return ledger.conclude()


@given(st.lists(st.integers(0, 2**63), min_size=2).map(sorted))
def test_a_counter_that_only_rose_has_its_first_and_its_last_value(values):
    (found,), unreadable = read(*values)

    assert (found.before, found.after, found.peak) == (values[0], values[-1], None)
    assert unreadable == ()


@given(st.lists(st.integers(0, 2**63), min_size=2))
def test_a_counter_that_ever_went_back_is_named_even_when_it_climbed_past_its_start(values):
    found, unreadable = read(*values)

    if values == sorted(values):
        assert found
    else:
        assert found == ()
        assert [(each.name, each.reason) for each in unreadable] == [("name", WENT_BACK)]


@given(st.lists(st.integers(0, 1000), min_size=2))
def test_a_level_may_fall_and_keeps_its_peak(values):
    (found,), _ = read(*values, make=gauge)

    assert (found.before, found.after, found.peak) == (values[0], values[-1], max(values))


def test_a_source_that_failed_at_either_end_gives_no_number():
    for values in [(None, 5, 5), (5, 5, None), (None, None)]:
        found, unreadable = read(*values)

        assert found == ()
        assert [(each.name, each.reason) for each in unreadable] == [("family", "not permitted")]


def test_a_source_that_failed_in_between_keeps_its_ends():
    (found,), unreadable = read(5, None, 9)

    assert (found.before, found.after, unreadable) == (5, 9, ())


def test_a_counter_that_came_or_went_in_the_window_is_named():
    for when in When.BEGIN, When.END:
        ledger = Ledger()
        ledger.take("net:host", "queues", {"tcp.accept_queue.80": gauge(1)}, when)
        ledger.take("net:host", "queues", {}, When.BEGIN if when is When.END else When.END)

        found, (fault,) = ledger.conclude()

        assert found == ()
        assert (fault.name, fault.reason) == ("tcp.accept_queue.80", ONE_END)


def test_what_the_kernel_does_not_count_is_not_zero():
    ledger = Ledger()
    for when in When.BEGIN, When.END:
        ledger.take("net:host", "tcp", {"tcp.listen_drops": Level(3), "tcp.req_q_full_drops": None}, when)

    (found,), (fault,) = ledger.conclude()

    assert found.name == "tcp.listen_drops"
    assert (fault.name, fault.reason) == ("tcp.req_q_full_drops", NOT_COUNTED)
