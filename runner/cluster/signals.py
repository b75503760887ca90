"""How hub and agents end when they are told to."""

from __future__ import annotations

import signal

import trio


async def end_on_signal(scope: trio.CancelScope) -> None:
    """Cancel a scope at SIGTERM or SIGINT, which the first process in a container ignores otherwise."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
