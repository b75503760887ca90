"""Async functions that start something: a signal lets them remove it before it ends the program."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from runner.cli.exit_codes import die_of
from runner.core.errors import LoadproofError
from runner.execution.signals import receive_signals

T = TypeVar("T")


@dataclass(slots=True)
class _Ending(Generic[T]):
    """How the function ended."""

    result: T | None = None
    error: LoadproofError | None = None
    signal: signal.Signals | None = None


def run_until_signal(function: Callable[[], Awaitable[T]]) -> T:
    """Return what an async function returns; a signal cancels it, and then ends the program.

    Raises:
        LoadproofError: Whichever the function raises.
    """
    ending = _Ending[T]()
    trio.run(_run, function, ending)
    if ending.signal:
        die_of(ending.signal)
    if ending.error:
        raise ending.error
    assert ending.result is not None
    return ending.result


async def _run(function: Callable[[], Awaitable[T]], ending: _Ending[T]) -> None:
    with receive_signals() as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, signals, ending, nursery.cancel_scope)
            try:
                ending.result = await function()
            except LoadproofError as error:
                ending.error = error
            nursery.cancel_scope.cancel()


async def _cancel_on_signal(signals: AsyncIterator[int], ending: _Ending[T], scope: trio.CancelScope) -> None:
    async for number in signals:
        ending.signal = signal.Signals(number)
        scope.cancel()
