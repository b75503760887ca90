"""Requests in flight are as many as responses, time-outs and other failures account for."""

import pytest
from msgspec.structs import replace

from runner.analyze.little import Little, little
from runner.core.measured import Latency
from runner.core.observed_results import Moment
from tests.analyze.stages import NOTHING

SERIES = tuple(Moment(t_s, None, None, in_flight=level) for t_s, level in ((1.0, 19), (2.0, 21), (-1.0, 500)))


def stage(**changes):
    return replace(NOTHING, timeseries=SERIES, window_s=2.0, timeout_s=1.0, **changes)


def failures(**kinds):
    return replace(NOTHING.requests, failed=sum(kinds.values()), failures=kinds)


def test_littles_law_relates_rate_time_and_requests_in_flight():
    known = little(stage(actual_rps=1000.0, response_time_ms=Latency(mean=20.0)))

    assert known == Little(in_flight=20.0, expected=20.0, ratio=1.0, expected_at_most=20.0)


@pytest.mark.parametrize("kind", ["timeout", "connect_timeout"])
def test_a_time_out_was_in_flight_for_the_whole_time_out_even_if_nothing_succeeded(kind):
    known = little(stage(requests=failures(**{kind: 40})))

    assert known == Little(in_flight=20.0, expected=20.0, ratio=1.0, expected_at_most=20.0)


def test_a_request_that_waits_for_a_free_slot_is_not_in_flight():
    waited = {"response_time_ms": Latency(mean=500.0), "dispatch_delay_ms": Latency(mean=480.0)}

    assert little(stage(actual_rps=1000.0, **waited)).expected == 20.0


@pytest.mark.parametrize(("statuses", "agrees"), [(0, False), (40, True)])
def test_failures_of_unknown_duration_may_have_been_in_flight(statuses, agrees):
    slow_failures = failures(bad_status=statuses, no_fd=100)

    known = little(stage(actual_rps=100.0, response_time_ms=Latency(mean=20.0), requests=slow_failures))

    assert known.agrees is agrees


@pytest.mark.parametrize("changes", [{}, {"timeseries": SERIES[:1], "actual_rps": 5.0}])
def test_nothing_is_known_without_responses_or_seconds(changes):
    assert little(replace(stage(response_time_ms=Latency(mean=20.0)), **changes)) is None
