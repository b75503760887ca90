"""The names of signals in messages."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return what a signal is called: ``SIGKILL``, or ``signal 35`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
