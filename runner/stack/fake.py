"""A stack that exists only in memory, for tests of what stands above the stacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from runner.core.facts import Endpoint, Event, Subject
from runner.stack.protocols import StackContext, StackOpener


@dataclass(slots=True)
class FakeStack:
    """Implements `runner.stack.protocols.Stack`.

    Attributes:
        is_up: Whether it was opened and not yet closed.
        opened: How often it was opened.
    """

    endpoint: Endpoint = field(default_factory=lambda: Endpoint("127.0.0.1", 1))
    subjects: tuple[Subject, ...] = ()
    description: Mapping[str, object] = field(default_factory=lambda: {"kind": "fake"})
    metrics_urls: Mapping[str, str] = field(default_factory=dict)
    status_urls: Mapping[str, str] = field(default_factory=dict)
    broken: Event | None = None
    is_up: bool = False
    opened: int = 0
    _died: trio.Event = field(default_factory=trio.Event)

    def die(self, event: Event) -> None:
        """Break now."""
        self.broken = event
        self._died.set()

    async def wait_broken(self) -> Event:
        """Wait for `die`."""
        await self._died.wait()
        assert self.broken is not None
        return self.broken


def fake_opener(stack: FakeStack) -> StackOpener:
    """An opener that hands this stack out, whole again, each time it is opened."""

    @asynccontextmanager
    async def open_fake(_topology: object, _ctx: StackContext) -> AsyncIterator[FakeStack]:
        stack.broken, stack._died = None, trio.Event()  # noqa: SLF001  (its own module)
        stack.is_up = True
        stack.opened += 1
        try:
            yield stack
        finally:
            stack.is_up = False

    return open_fake
