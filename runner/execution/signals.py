"""The signals that end what runs, after it removed what it created."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from runner.core.errors import Interrupted, LoadproofError

T = TypeVar("T")

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


async def until_signal(function: Callable[[], Awaitable[T]]) -> T:
    """Return what an async function returns; a signal cancels it.

    Raises:
        Interrupted: A signal came, and the function has ended.
        LoadproofError: Whichever the function raises.
    """
    results: list[T] = []
    faults: list[LoadproofError] = []
    with receive_signals() as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, signals, faults, nursery.cancel_scope)
            try:
                results.append(await function())
            except LoadproofError as error:
                faults.append(error)
            nursery.cancel_scope.cancel()
    for fault in faults:
        raise fault
    return results[0]


async def _cancel_on_signal(
    signals: AsyncIterator[int], faults: list[LoadproofError], scope: trio.CancelScope
) -> None:
    async for number in signals:
        faults.append(Interrupted(number))
        scope.cancel()
