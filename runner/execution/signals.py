"""The signals that end what runs, after it removed what it created."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import trio

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def receive_signals() -> Iterator[AsyncIterator[int]]:
    """Receive SIGINT, SIGTERM and SIGHUP; one that is ignored already, as by nohup, stays ignored."""
    numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    if not numbers:
        yield _no_signals()
        return
    with trio.open_signal_receiver(*numbers) as signals:
        yield signals


async def _no_signals() -> AsyncIterator[int]:
    numbers: tuple[int, ...] = ()
    for number in numbers:
        yield number
