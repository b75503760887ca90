"""What wakes the loop. Nothing here asks how soon: a loaded machine may be late, but never early."""

import os
import time
from pathlib import Path

import pytest

from runner.load.timers import Alarm, Metronome

PERIOD_NS = 2_000_000


@pytest.fixture
def metronome():
    metronome = Metronome(PERIOD_NS)
    yield metronome
    metronome.close()


def test_an_alarm_goes_off_once_and_not_before_its_time():
    alarm = Alarm()
    instant = time.monotonic_ns() + PERIOD_NS
    alarm.at(instant)
    assert os.read(alarm.fd, 8) == (1).to_bytes(8, "little")
    assert time.monotonic_ns() >= instant
    os.set_blocking(alarm.fd, False)
    with pytest.raises(BlockingIOError):
        os.read(alarm.fd, 8)
    alarm.close()


def test_every_instant_of_the_grid_is_waited_for(metronome):
    first = time.monotonic_ns() + PERIOD_NS
    metronome.tune(first)
    for number in range(20):
        metronome.wait(first + number * PERIOD_NS)
        assert time.monotonic_ns() >= first + number * PERIOD_NS


def test_instants_that_nobody_waited_for_make_no_later_one_early(metronome):
    first = time.monotonic_ns() + PERIOD_NS
    metronome.tune(first)
    for number in (0, 5, 6, 9, 10, 16):
        time.sleep(PERIOD_NS / 1e9)
        metronome.wait(first + number * PERIOD_NS)
        assert time.monotonic_ns() >= first + number * PERIOD_NS


def test_an_instant_that_has_passed_is_not_waited_for(metronome):
    first = time.monotonic_ns() + PERIOD_NS
    metronome.tune(first)
    metronome.wait(first)
    for fd in metronome._fds:
        os.set_blocking(fd, False)
    metronome.wait(first)  # without a look at the timers: reading one would raise BlockingIOError


def test_between_two_instants_the_earlier_one_ends_the_wait(metronome):
    first = time.monotonic_ns() + PERIOD_NS
    metronome.tune(first)
    metronome.wait(first + PERIOD_NS + PERIOD_NS // 2)
    assert time.monotonic_ns() >= first + PERIOD_NS


def test_a_grid_that_has_moved_is_tuned_and_one_that_drifts_by_a_hair_is_left_alone(metronome):
    first = time.monotonic_ns() + PERIOD_NS
    metronome.tune(first)
    metronome.tune(first + 10 * PERIOD_NS + 900)
    assert metronome._first == first
    moved = first + 10 * PERIOD_NS + 300_000
    metronome.tune(moved)
    metronome.wait(moved)
    assert time.monotonic_ns() >= moved


@pytest.mark.parametrize("beside_ns", [-999, 0, 999])
def test_a_first_instant_that_would_be_on_the_grid_of_the_clock_itself_is_waited_for(metronome, beside_ns):
    first = (time.monotonic_ns() // PERIOD_NS + 2) * PERIOD_NS + beside_ns
    metronome.tune(first)
    for fd in metronome._fds:
        assert _armed(fd)
    metronome.wait(first + 3 * PERIOD_NS)
    assert time.monotonic_ns() >= first + 3 * PERIOD_NS


def test_what_was_never_tuned_does_not_wait(metronome):
    metronome.wait(time.monotonic_ns() + 3600 * 10**9)


def _armed(fd: int) -> bool:
    """Whether a timer will go off: proc_pid_fdinfo(5) tells its interval."""
    text = Path(f"/proc/self/fdinfo/{fd}").read_text()
    return f"it_interval: (0, {2 * PERIOD_NS})" in text
