"""Wakes the loop to the microsecond, which `epoll.poll`'s whole milliseconds cannot.

A timerfd needs no time-out at all and no timer slack. Python wraps it from 3.13 on; until
then two calls go through ctypes.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Final

from runner.core.units import NS_PER_S, NS_PER_US, Nanoseconds

_ABSOLUTE: Final = 1
_NEAR_NS: Final = NS_PER_US


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """A timer on CLOCK_MONOTONIC, readable as the file descriptor `fd` once it has gone off."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._settime = libc.timerfd_settime
        self._timer = _Timer()
        self._pointer = ctypes.byref(self._timer)

    def at(self, instant_ns: Nanoseconds, every_ns: Nanoseconds = 0) -> None:
        """Go off at an instant, at once when it has passed; then again after every period, if any."""
        value, interval = self._timer.value, self._timer.interval
        value.seconds, value.nanoseconds = divmod(max(instant_ns, 1), NS_PER_S)
        interval.seconds, interval.nanoseconds = divmod(every_ns, NS_PER_S)
        self._settime(self.fd, _ABSOLUTE, self._pointer, None)

    def close(self) -> None:
        """Give the timer back."""
        os.close(self.fd)


class Metronome:
    """Waits for instants of an even grid, at about half of what sleeping costs.

    Who sleeps arms a timer that is the next to go off on its processor, so that the hardware has
    to be programmed for it: on a virtual machine, a call to the hypervisor. Of two timers that go
    off in turn, the one that is armed again (by reading it) is never the next.

    Args:
        period_ns: The grid's, some microseconds at least. A fraction of a nanosecond may be missing;
            `tune` makes up for it.
    """

    def __init__(self, period_ns: Nanoseconds) -> None:
        self._period = period_ns
        self._first: Nanoseconds | None = None
        self._alarms = (Alarm(), Alarm())
        self._fds = tuple(alarm.fd for alarm in self._alarms)

    def tune(self, instant_ns: Nanoseconds) -> None:
        """Make an instant on CLOCK_MONOTONIC one of the grid's, unless it is as good as one."""
        first_ns = self._first
        if first_ns is not None and (instant_ns - first_ns + _NEAR_NS) % self._period <= 2 * _NEAR_NS:
            return
        self._first = instant_ns
        for number, alarm in enumerate(self._alarms):
            alarm.at(instant_ns + number * self._period, 2 * self._period)

    def wait(self, instant_ns: Nanoseconds) -> None:
        """Wait for an instant of the grid, or for the last one before it; not at all before `tune`."""
        if self._first is None:
            return
        number = (instant_ns - self._first + _NEAR_NS) // self._period
        tick_ns, fd = self._first + number * self._period, self._fds[number % 2]
        while time.monotonic_ns() < tick_ns:  # once, or twice where an earlier one was not waited for
            os.read(fd, 8)

    def close(self) -> None:
        """Give the timers back."""
        for alarm in self._alarms:
            alarm.close()
