"""Runs the schedule of a k6 that is ready: starts it on time, reads its totals, waits for its end.

Nothing raises here: from the first arrival on, it is a fact of the stage if k6 dies or hangs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.compact import CompactList
from runner.core.facts import Window
from runner.core.load_facts import LoadSecond
from runner.core.signals import signal_name
from runner.core.units import NS_PER_MS, Milliseconds, Nanoseconds, Seconds, ns
from runner.load.k6.api import Api, ApiSilentError
from runner.load.k6.plan import Plan
from runner.load.k6.process import K6Process
from runner.load.k6.timeline import LIVE_COUNTERS, Timeline

LEAD_S: Final[Seconds] = 0.1
"""How far ahead the first arrival is when the window is announced."""
LINGER_S: Final[Seconds] = 10.0
"""How long k6 may take, after the last possible response, to write its summary and exit."""

_LINGER_S_A_REQUEST: Final[Seconds] = 20e-6
_LAG_S: Final[Seconds] = 0.06
"""k6 updates its totals every 50 ms."""
_LAST_OUTPUT_S: Final[Seconds] = 0.2
"""The output of a dead process is available at once; only a child of it could still write."""
_GOOD_EXITS: Final = (0, 99)
"""99 is a failed threshold: our script has none, and it would be no fault of k6."""


@dataclass(slots=True)
class Schedule:
    """Warm-up and measured window of one stage.

    Attributes:
        plan: k6's orders.
        process: k6, paused before its first arrival.
        api: Its REST API.
        on_second: Called with every second of the window but the last, which the summary completes.
        reported: The seconds with which it was called.
        window: When the warm-up and the measured window begin, and when it ends.
        lost: Why the stage is invalid, None while it is valid.
        next_index: Index of the next second to report.
        silence_s: The longest time between two readings of k6's totals before the window's end.
    """

    plan: Plan
    process: K6Process
    api: Api
    on_second: Callable[[LoadSecond], None]
    reported: CompactList[LoadSecond]
    window: Window = field(init=False)
    timeline: Timeline = field(init=False)
    lost: str | None = None
    next_index: int = field(init=False)
    silence_s: Seconds = 0.0
    _last_read_s: Seconds = field(init=False)
    _measure_at: float = field(init=False)
    _epoch_ns: Nanoseconds = field(init=False)

    def __post_init__(self) -> None:
        """Fix the window; it does not change after it was announced."""
        start_ns = time.monotonic_ns() + ns(LEAD_S)
        measure_ns = start_ns + ns(self.plan.warmup_s)
        self.window = Window(start_ns, measure_ns, measure_ns + ns(self.plan.window_s))
        self.timeline = Timeline(self.plan.warmup_s)
        self.next_index = math.floor(-self.plan.warmup_s)
        self._last_read_s = -self.plan.warmup_s
        self._measure_at = trio.current_time() + LEAD_S + self.plan.warmup_s
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    async def run(self) -> None:
        """Start the schedule, follow it, and return when k6 has exited or its time is up."""
        patience_s = self.plan.graceful_stop_s + LINGER_S
        patience_s += _LINGER_S_A_REQUEST * (self.plan.warmup_arrivals + self.plan.window_arrivals)
        with trio.move_on_at(self._measure_at + self.plan.window_s + patience_s):
            await run_while_alive(self.process, self._begin_and_follow)
        self._note_read(min(self._now_s(), self.plan.window_s))
        self.lost = self.lost or self._fault(patience_s)

    def report(self, second: LoadSecond) -> None:
        """Pass a second on, unless it was reported already."""
        if second.index >= self.next_index:
            self.next_index = second.index + 1
            self.reported.append(second)
            self.on_second(second)

    def late_ms(self, began_ms: Milliseconds) -> Milliseconds:
        """Return how much later than announced k6 began by its own clock."""
        return began_ms - (self.window.start_ns + self._epoch_ns) / NS_PER_MS

    async def _begin_and_follow(self) -> None:
        await trio.sleep_until(self._measure_at - self.plan.warmup_s)
        try:
            await self.api.begin()
        except ApiSilentError:
            self.lost = "k6 did not start its schedule when told to, and was ended"
            return
        await self._follow()

    async def _follow(self) -> None:
        """Read k6's totals once a second until cancelled; a reading that fails is skipped."""
        second = self.next_index
        while True:
            second = max(second + 1, math.ceil(self._now_s() - _LAG_S))
            await trio.sleep_until(self._measure_at + second + _LAG_S)
            t_s = self._now_s() - _LAG_S
            with suppress(ApiSilentError):
                seconds = self.timeline.read(t_s, await self.api.counters(LIVE_COUNTERS))
                self._note_read(t_s)
                for complete in seconds:
                    if complete.index + 1 < self.plan.window_s:
                        self.report(complete)

    def _note_read(self, t_s: Seconds) -> None:
        """Record that k6 responded at that time."""
        self.silence_s = max(self.silence_s, t_s - self._last_read_s)
        self._last_read_s = t_s

    def _now_s(self) -> Seconds:
        """Seconds since the measured window began."""
        return trio.current_time() - self._measure_at

    def _fault(self, patience_s: Seconds) -> str | None:
        code = self.process.process.returncode
        when = f"{self._now_s():.1f} s after the measured window began"
        if code in _GOOD_EXITS:
            return None
        if code is None:
            return f"k6 hung: it still ran {patience_s:.0f} s after the window's end and was ended"
        if code < 0:
            return f"k6 was ended by {signal_name(-code)} {when}"
        last = " ".join(self.process.tail(1))
        return f"k6 exited with code {code} {when}{': ' + last if last else ''}"


async def run_while_alive(process: K6Process, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` while reading a process's output; return when either has ended."""
    async with trio.open_nursery() as nursery:

        async def cancel_at_exit() -> None:
            await process.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(process.drain)
        nursery.start_soon(cancel_at_exit)
        await work()
        nursery.cancel_scope.cancel()
    with trio.move_on_after(_LAST_OUTPUT_S if process.process.returncode is not None else 0):
        await process.drain()
