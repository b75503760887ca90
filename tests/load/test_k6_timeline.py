"""Seconds from running totals: nothing lost, nothing invented, exact with the summary."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runner.core.load_facts import LoadSecond
from runner.load.k6.summary import Totals
from runner.load.k6.timeline import (
    DROPPED,
    FAILED,
    LIVE_COUNTERS,
    REQUESTS,
    WARMUP_FAILED,
    Timeline,
    corrected,
)

counts = st.integers(0, 1000)
kinds = st.dictionaries(st.sampled_from(sorted(FAILED)), st.integers(1, 500))
seconds = st.builds(
    lambda index, sent, dropped, failures: LoadSecond(
        index, sent + dropped, sent, sent, dropped, failures, completed=sent
    ),
    st.integers(-3, 8),
    counts,
    counts,
    kinds,
)


@st.composite
def totals(draw: st.DrawFn) -> Totals:
    succeeded = draw(counts)
    late = draw(st.integers(0, succeeded))
    return Totals(
        succeeded=succeeded,
        late=late,
        failures=draw(kinds),
        dropped=draw(counts),
        virtual_users=2000,
        completed=succeeded - late + draw(st.integers(0, 50)),
        began_ms=None,
        duration={},
        connect={},
        statuses=draw(st.dictionaries(st.integers(300, 599), st.integers(1, 500))),
    )


def readings(**grown: int) -> dict[str, int]:
    return dict.fromkeys(LIVE_COUNTERS, 0) | grown


@given(
    live=st.lists(seconds, unique_by=lambda second: second.index),
    totals=totals(),
    window_s=st.sampled_from([0.5, 1.0, 2.0, 2.5, 7.0]),
)
def test_corrected_seconds_sum_up_to_the_summary_whatever_was_read_live(
    live: list[LoadSecond], totals: Totals, window_s: float
):
    whole = corrected(sorted(live, key=lambda second: second.index), totals, window_s)
    measured = [second for second in whole if second.index >= 0]
    window = [second for second in measured if second.index < math.ceil(window_s)]
    failures: Counter[str] = Counter()
    for second in measured:
        failures.update(second.failures)

    assert [second.index for second in window] == list(range(math.ceil(window_s)))
    assert sum(second.succeeded for second in measured) == totals.succeeded
    assert dict(failures) == totals.failures
    assert [second.statuses for second in whole if second.statuses] == (
        [totals.statuses] if totals.statuses else []
    )
    assert sum(second.dropped for second in measured) == totals.dropped
    assert sum(second.sent for second in measured) == totals.sent
    assert sum(second.scheduled for second in measured) == totals.sent + totals.dropped
    assert sum(second.completed for second in window) == totals.completed
    assert sum(second.succeeded for second in window) == totals.succeeded - totals.late
    assert all(min(s.scheduled, s.sent, s.succeeded, s.dropped, s.completed) >= 0 for s in measured)


def test_live_seconds_that_agree_with_the_summary_are_kept():
    live = [LoadSecond(0, 12, 10, 9, 2, {"reset": 1}, completed=9), LoadSecond(1, 8, 8, 8, completed=8)]
    exact = Totals(20, 3, {"reset": 1}, 2, 2000, 17, None, {}, {})

    first, second, drain = corrected(live, exact, 2.0)

    assert (first.scheduled, first.sent, first.succeeded, first.dropped) == (12, 10, 9, 2)
    assert first.failures == {"reset": 1}
    assert (second.succeeded, second.sent, second.completed) == (8, 11, 8)
    assert (drain.index, drain.succeeded, drain.completed, drain.sent) == (2, 3, 3, 0)


def test_failures_after_the_window_are_in_the_drain_and_unread_ones_in_the_last_second():
    exact = Totals(0, 0, {"timeout": 5}, 0, 2000, 0, None, {}, {})
    seen = [LoadSecond(0, 2, 2, failures={"timeout": 2})]

    assert [second.failures for second in corrected(seen, exact, 1.0)] == [{"timeout": 2}, {"timeout": 3}]
    assert [second.failures for second in corrected([], exact, 1.0)] == [{"timeout": 5}]


def test_a_missed_reading_causes_neither_a_gap_nor_a_peak():
    timeline = Timeline(0.0)

    assert [second.succeeded for second in timeline.read(1.0, readings(http_reqs=100))] == [100]
    assert [second.succeeded for second in timeline.read(4.0, readings(http_reqs=400))] == [100, 100, 100]


def test_readings_between_whole_seconds_are_interpolated():
    timeline = Timeline(0.0)

    assert timeline.read(0.5, readings(http_reqs=50)) == []
    assert [second.succeeded for second in timeline.read(1.5, readings(http_reqs=150))] == [100]
    assert [second.succeeded for second in timeline.read(2.0, readings(http_reqs=200))] == [100]


def test_of_the_warm_up_only_successful_responses_are_counted():
    timeline = Timeline(1.5)
    grown = {REQUESTS: 40, WARMUP_FAILED: 10, DROPPED: 7}

    early, late = timeline.read(0.0, readings(**grown))

    assert (early.index, late.index) == (-2, -1)
    assert early.completed + late.completed == 30
    assert early.scheduled == late.scheduled == late.dropped == 0


@given(
    steps=st.lists(
        st.tuples(st.floats(0.01, 3.0), counts, st.integers(0, 100), st.integers(0, 100)), min_size=1
    )
)
def test_no_request_is_counted_twice_or_lost_between_readings(
    steps: list[tuple[float, int, int, int]],
):
    timeline, t_s = Timeline(0.0), 0.0
    now = readings()
    for wait_s, good, reset, dropped in steps:
        t_s += wait_s
        now = {
            **now,
            REQUESTS: now[REQUESTS] + good + reset,
            FAILED["reset"]: now[FAILED["reset"]] + reset,
            DROPPED: now[DROPPED] + dropped,
        }
        timeline.read(t_s, now)
    whole = float(math.ceil(t_s + 0.001))
    timeline.read(whole, now)

    assert [second.index for second in timeline.seconds] == list(range(int(whole)))
    assert sum(second.sent for second in timeline.seconds) == now[REQUESTS]
    assert sum(second.failures.get("reset", 0) for second in timeline.seconds) == now[FAILED["reset"]]
    assert sum(second.dropped for second in timeline.seconds) == now[DROPPED]
    assert all(s.sent == s.succeeded + sum(s.failures.values()) for s in timeline.seconds)
