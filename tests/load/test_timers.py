"""The timers of the loop. No test requires punctuality: a loaded machine may be late, but never early."""

import os
import time
from pathlib import Path

import pytest

from runner.load.timers import PeriodicTimer, Timer

PERIOD_NS = 2_000_000


@pytest.fixture
def periodic():
    periodic = PeriodicTimer(PERIOD_NS)
    yield periodic
    periodic.close()


def test_a_timer_goes_off_once_and_not_before_its_time():
    timer = Timer()
    instant = time.monotonic_ns() + PERIOD_NS
    timer.at(instant)
    assert os.read(timer.fd, 8) == (1).to_bytes(8, "little")
    assert time.monotonic_ns() >= instant
    os.set_blocking(timer.fd, False)
    with pytest.raises(BlockingIOError):
        os.read(timer.fd, 8)
    timer.close()


def test_every_instant_of_the_grid_is_waited_for(periodic):
    first = time.monotonic_ns() + PERIOD_NS
    periodic.align(first)
    for number in range(20):
        periodic.wait(first + number * PERIOD_NS)
        assert time.monotonic_ns() >= first + number * PERIOD_NS


def test_skipped_instants_make_no_later_one_early(periodic):
    first = time.monotonic_ns() + PERIOD_NS
    periodic.align(first)
    for number in (0, 5, 6, 9, 10, 16):
        time.sleep(PERIOD_NS / 1e9)
        periodic.wait(first + number * PERIOD_NS)
        assert time.monotonic_ns() >= first + number * PERIOD_NS


def test_an_instant_that_has_passed_is_not_waited_for(periodic):
    first = time.monotonic_ns() + PERIOD_NS
    periodic.align(first)
    periodic.wait(first)
    for fd in periodic._fds:
        os.set_blocking(fd, False)
    periodic.wait(first)  # without a look at the timers: reading one would raise BlockingIOError


def test_between_two_instants_the_earlier_one_ends_the_wait(periodic):
    first = time.monotonic_ns() + PERIOD_NS
    periodic.align(first)
    periodic.wait(first + PERIOD_NS + PERIOD_NS // 2)
    assert time.monotonic_ns() >= first + PERIOD_NS


def test_a_grid_that_has_moved_is_aligned_and_a_tiny_drift_is_ignored(periodic):
    first = time.monotonic_ns() + PERIOD_NS
    periodic.align(first)
    periodic.align(first + 10 * PERIOD_NS + 900)
    assert periodic._first == first
    moved = first + 10 * PERIOD_NS + 300_000
    periodic.align(moved)
    periodic.wait(moved)
    assert time.monotonic_ns() >= moved


@pytest.mark.parametrize("beside_ns", [-999, 0, 999])
def test_a_first_instant_that_would_be_on_the_grid_of_the_clock_itself_is_waited_for(periodic, beside_ns):
    first = (time.monotonic_ns() // PERIOD_NS + 2) * PERIOD_NS + beside_ns
    periodic.align(first)
    for fd in periodic._fds:
        assert _armed(fd)
    periodic.wait(first + 3 * PERIOD_NS)
    assert time.monotonic_ns() >= first + 3 * PERIOD_NS


def test_a_timer_that_was_never_aligned_does_not_wait(periodic):
    periodic.wait(time.monotonic_ns() + 3600 * 10**9)


def _armed(fd: int) -> bool:
    """Whether a timer will go off: proc_pid_fdinfo(5) tells its interval."""
    text = Path(f"/proc/self/fdinfo/{fd}").read_text()
    return f"it_interval: (0, {2 * PERIOD_NS})" in text
