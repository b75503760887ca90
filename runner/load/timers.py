"""Timers that wake the loop to the microsecond; `epoll.poll` has whole milliseconds only.

A timerfd has no timeout argument and no timer slack. Python wraps it from 3.13 on; until then two calls go
through ctypes.
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


class Timer:
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
        """Go off at an instant, or at once if it has passed; then again after every period, if any."""
        value, interval = self._timer.value, self._timer.interval
        value.seconds, value.nanoseconds = divmod(max(instant_ns, 1), NS_PER_S)
        interval.seconds, interval.nanoseconds = divmod(every_ns, NS_PER_S)
        self._settime(self.fd, _ABSOLUTE, self._pointer, None)

    def close(self) -> None:
        """Close the timer."""
        os.close(self.fd)


class PeriodicTimer:
    """Waits for instants of an even grid, at about half the cost of sleeping.

    A sleep arms a timer that is the next to expire on its processor, so the kernel has to program the
    hardware: on a virtual machine, a call to the hypervisor. With two timers that expire in turn, the one
    that is rearmed (by reading it) is never the next.

    Args:
        period_ns: The grid's period, at least some microseconds. A fraction of a nanosecond may be missing;
            `align` corrects for it.
    """

    def __init__(self, period_ns: Nanoseconds) -> None:
        self._period = period_ns
        self._first: Nanoseconds | None = None
        self._timers = (Timer(), Timer())
        self._fds = tuple(timer.fd for timer in self._timers)

    def align(self, instant_ns: Nanoseconds) -> None:
        """Move the grid so that it contains an instant on CLOCK_MONOTONIC, unless it nearly does."""
        first_ns = self._first
        if first_ns is not None and (instant_ns - first_ns + _NEAR_NS) % self._period <= 2 * _NEAR_NS:
            return
        self._first = instant_ns
        for number, timer in enumerate(self._timers):
            timer.at(instant_ns + number * self._period, 2 * self._period)

    def wait(self, instant_ns: Nanoseconds) -> None:
        """Wait for an instant of the grid, or for the last one before it; returns at once before `align`."""
        if self._first is None:
            return
        number = (instant_ns - self._first + _NEAR_NS) // self._period
        tick_ns, fd = self._first + number * self._period, self._fds[number % 2]
        while time.monotonic_ns() < tick_ns:  # once, or twice if an earlier instant was not waited for
            os.read(fd, 8)

    def close(self) -> None:
        """Close the timers."""
        for timer in self._timers:
            timer.close()
