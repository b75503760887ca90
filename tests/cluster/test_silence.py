"""Silence counts only while this process itself runs."""

import time

from runner.cluster.silence import LOOK_EVERY_S, Silence
from runner.core.units import NS_PER_S, ns


def looks(silence, begin_ns, seconds):
    """Look at the usual times; returns when the silence was too long, in seconds, or None."""
    for number in range(1, round(seconds / LOOK_EVERY_S) + 1):
        if silence.look(begin_ns + ns(number * LOOK_EVERY_S)):
            return number * LOOK_EVERY_S
    return None


def test_a_silence_is_too_long_soon_after_its_limit():
    silence, begin_ns = Silence(3), time.monotonic_ns()

    assert looks(silence, begin_ns, 10) in {3, 3.25}


def test_who_is_heard_is_not_silent():
    silence = Silence(3)
    for _ in range(100):
        silence.heard()
        assert not silence.look()


def test_time_in_which_this_process_did_not_run_is_not_counted():
    silence, begin_ns = Silence(3), time.monotonic_ns()

    assert looks(silence, begin_ns, 1) is None
    assert not silence.look(begin_ns + 60 * NS_PER_S)  # it was stopped for a minute
    assert looks(silence, begin_ns + 60 * NS_PER_S, 10) in {1.75, 2}
