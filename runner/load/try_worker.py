"""The process that sends for `runner try`: one user goes through one scenario at a time.

    python -P -m runner.load.try_worker < orders, each a line

It prints the records of `runner.load.try_records`. The end of its standard input ends it at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from runner.core.units import NS_PER_MS
from runner.load.exchange import Exchange
from runner.load.scenario_loop import ScenarioLoop
from runner.load.try_exchange import Recording, RecordingTls
from runner.load.try_records import TryRecord, encode_record
from runner.load.worker_order import WorkerOrder

_LOOK_EVERY_NS: Final = 100 * NS_PER_MS


class TryOrder(Struct, frozen=True):
    """A scenario to go through.

    Attributes:
        order: Its only scenario.
        pauses: Whether the user waits in pauses.
        alternative: Which alternative of each choice is taken, from 0.
    """

    order: WorkerOrder
    pauses: bool = True
    alternative: int = 0

    def to_json(self) -> bytes:
        """Return it as one line of JSON; bytes are in base64."""
        return msgspec.json.encode(self) + b"\n"


class TryLoop(ScenarioLoop):
    """Lets one user go through the first scenario of an order.

    Args:
        order: What to do.
        record: Called with every record.
    """

    def __init__(self, order: TryOrder, record: Callable[[TryRecord], None]) -> None:
        self._try_order, self._record = order, record
        super().__init__(order.order, iter(()), lambda _: None)

    def _make_exchange(self) -> Exchange:
        order, record, told = self._order, self._record, self._try_order
        how: dict[str, Any] = {"pauses": told.pauses, "alternative": told.alternative}
        if order.tls is None:
            return Recording(order, self._timeline, record=record, **how)
        return RecordingTls(order, self._timeline, order.tls, record=record, **how)

    def run_once(self, stopped: Callable[[], bool]) -> None:
        """Go through the scenario from its begin to its end.

        Args:
            stopped: Called ten times a second; returns whether to give up.
        """
        self._begin(time.monotonic_ns())
        exchange = self.exchange
        exchange.send_due(time.time_ns(), 1, False)
        while exchange.in_flight:
            now = time.time_ns()
            self._look(now)
            self._wait(exchange.follow(now))
            if now < self._housekeeping:
                continue
            self._housekeeping = now + _LOOK_EVERY_NS
            if stopped():
                return
            exchange.end_overdue(now)
            self._timeline.close(now)
            self._follow_clock()


def main() -> None:
    """Execute orders until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = sys.stdin.buffer
    while line := commands.readline():
        order = msgspec.json.decode(line, type=TryOrder)
        os.set_blocking(commands.fileno(), False)

        def record(one: TryRecord) -> None:
            sys.stdout.buffer.write(encode_record(one))
            sys.stdout.buffer.flush()

        loop = TryLoop(order, record)
        loop.run_once(lambda: bool(select.select([commands], [], [], 0)[0]))
        loop.close()
        os.set_blocking(commands.fileno(), True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the runner has exited
        main()
