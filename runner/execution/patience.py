"""How long tear-down hooks may take: as long as they need, until a signal comes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from runner.core.units import Seconds

AFTER_SIGNAL_S: Final[Seconds] = 60.0


class Patience:
    """The time that is left for tear-down: 60 s after the first signal, and none after the second one."""

    def __init__(self) -> None:
        self._deadline = math.inf
        self._scope: trio.CancelScope | None = None

    def signal(self) -> None:
        """Note that a signal came."""
        first = self._deadline == math.inf
        self._deadline = trio.current_time() + AFTER_SIGNAL_S if first else -math.inf
        if self._scope is not None:
            self._scope.deadline = self._deadline

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Run a block in spite of the cancellation around it, until the time is over."""
        with trio.CancelScope(shield=True, deadline=self._deadline) as self._scope:
            yield
        self._scope = None
