"""How signals and faults end a run early: both become part of its state, so that it still writes results."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import trio

from runner.core.errors import LoadproofError
from runner.execution.context import RunState
from runner.execution.inputs import RunInputs
from runner.execution.job import Watcher


async def cancel_on_signal(
    signals: AsyncIterator[int],
    state: RunState,
    scope: trio.CancelScope,
    watcher: Watcher,
    doing: str = "removing the stack and writing the results so far",
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Note the first signal in the state, and cancel the scope; a second one ends tear-down hooks.

    Args:
        signals: That come.
        state: Of the run.
        scope: What to cancel.
        watcher: Who learns of the first signal.
        doing: What follows, in words.
        prepare: Called at the first signal.
    """
    async for number in signals:
        if state.signal is None:
            state.signal = signal.Signals(number)
            watcher.say(f"{state.signal.name}: {doing} ...")
            prepare()
        state.patience.signal()
        scope.cancel()


@contextmanager
def noting_faults(state: RunState, inputs: RunInputs) -> Iterator[None]:
    """Note a `LoadproofError` in the state instead of raising it; trio's nurseries raise it in groups.

    Args:
        state: Of the run.
        inputs: Whose secrets are masked in the error.
    """
    try:
        yield
    except LoadproofError as error:
        state.error = inputs.masked_error(error)
    except BaseExceptionGroup as group:
        faults, rest = group.split(LoadproofError)
        if faults is None:
            raise
        state.error = inputs.masked_error(_first(faults))
        if rest is not None:
            raise rest from None


def _first(group: BaseExceptionGroup[LoadproofError]) -> LoadproofError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
