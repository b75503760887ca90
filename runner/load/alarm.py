"""Wakes the loop to the microsecond, which `epoll.poll`'s whole milliseconds cannot.

A timerfd in the epoll set needs no time-out at all and no timer slack. Python wraps it
from 3.13 on; until then two calls go through ctypes.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Final

from runner.units import NS_PER_S, Nanoseconds

_ABSOLUTE: Final = 1


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

    def at(self, instant_ns: Nanoseconds) -> None:
        """Go off once at an instant, at once when it has passed."""
        value = self._timer.value
        value.seconds, value.nanoseconds = divmod(max(instant_ns, 1), NS_PER_S)
        self._settime(self.fd, _ABSOLUTE, self._pointer, None)
