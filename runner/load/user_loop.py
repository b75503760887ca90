"""The generator's loop in the closed model: a number of users, or a ramp of them, without a schedule."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from runner.core.units import NS_PER_MS, Nanoseconds
from runner.load.loop import Loop
from runner.load.tally import Tally
from runner.load.worker_order import WorkerOrder

_MAX_SERVE_NS: Final = 100 * NS_PER_MS


class UserLoop(Loop):
    """Lets a worker's users send requests until the window ends, then waits for the last responses.

    Args:
        order: What to offer.
        emit: Called with every finished second.
    """

    def __init__(self, order: WorkerOrder, emit: Callable[[Tally], None]) -> None:
        super().__init__(order, iter(()), emit)

    def run(self, start_ns: Nanoseconds, stopped: Callable[[], bool]) -> None:
        """Offer the whole stage; see `Loop.run`."""
        self._begin(start_ns)
        while True:
            now = time.time_ns()
            self._look(now)
            if now < self._timeline.end_ns:
                self._follow_users(now)
            else:
                self.exchange.until_ns = 0
                self.exchange.poll(0.01)
            if now >= self._housekeeping and (stopped() or self._housekeep(now)):
                return

    def _follow_users(self, now: Nanoseconds) -> None:
        """Let users join, leave and resume, and serve all until the next change."""
        exchange, users = self.exchange, self.exchange.users
        assert users is not None
        starting = users.follow(now)
        exchange.until_ns = until = min(users.next_change_ns, self._timeline.ends_ns, now + _MAX_SERVE_NS)
        exchange.resume(starting)
        until = min(until, users.next_change_ns)  # a connection that was refused is tried again
        self._arm(until)
        exchange.serve(until)
