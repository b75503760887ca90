"""One schedule of a k6 that stands ready: begun on time, watched once a second, waited for.

Nothing raises here: from the first arrival on, a k6 that dies or hangs is a fact.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.facts import LoadSecond, Window
from runner.core.units import NS_PER_MS, Milliseconds, Nanoseconds, Seconds, ns
from runner.load.k6.api import Api, ApiSilentError
from runner.load.k6.plan import Plan
from runner.load.k6.process import Child
from runner.load.k6.timeline import LIVE_COUNTERS, Timeline

LEAD_S: Final[Seconds] = 0.1
"""How far ahead the first arrival lies when the window is announced."""
LINGER_S: Final[Seconds] = 10.0
"""How long k6 may take, after the last answer can have come, to write its summary and end."""

_LINGER_S_A_REQUEST: Final[Seconds] = 20e-6
_LAG_S: Final[Seconds] = 0.06
"""k6 adds up what happened every 50 ms."""
_LAST_WORDS_S: Final[Seconds] = 0.2
"""What a dead process wrote is there at once; only a child of its own could still write."""
_GOOD_EXITS: Final = (0, 99)
"""99 is a failed threshold: there is none in our script, and it would be no fault of k6's."""


@dataclass(slots=True)
class Schedule:
    """Warm-up and measured window of one stage.

    Attributes:
        plan: What k6 was told.
        child: k6, paused before its first arrival.
        api: Its REST API.
        on_second: Told every second of the window but the last, which the summary completes.
        window: When everything happens.
        lost: Why the stage cannot be believed, None as long as it can.
        told: The second that comes after those told of.
        silence_s: The longest time between two readings of k6's totals, within the window's end.
    """

    plan: Plan
    child: Child
    api: Api
    on_second: Callable[[LoadSecond], None]
    window: Window = field(init=False)
    timeline: Timeline = field(init=False)
    lost: str | None = None
    told: int = field(init=False)
    silence_s: Seconds = 0.0
    _heard_s: Seconds = field(init=False)
    _measure_at: float = field(init=False)
    _epoch_ns: Nanoseconds = field(init=False)

    def __post_init__(self) -> None:
        """Fix the window: from now on it is a promise."""
        start_ns = time.monotonic_ns() + ns(LEAD_S)
        measure_ns = start_ns + ns(self.plan.warmup_s)
        self.window = Window(start_ns, measure_ns, measure_ns + ns(self.plan.window_s))
        self.timeline = Timeline(self.plan.warmup_s)
        self.told = math.floor(-self.plan.warmup_s)
        self._heard_s = -self.plan.warmup_s
        self._measure_at = trio.current_time() + LEAD_S + self.plan.warmup_s
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    async def keep(self) -> None:
        """Let it begin, follow it, and return when k6 has ended or its time is up."""
        patience_s = self.plan.graceful_stop_s + LINGER_S
        patience_s += _LINGER_S_A_REQUEST * (self.plan.warmup_arrivals + self.plan.window_arrivals)
        with trio.move_on_at(self._measure_at + self.plan.window_s + patience_s):
            await beside(self.child, self._begin_and_follow)
        self._hear(min(self._now_s(), self.plan.window_s))
        self.lost = self.lost or self._fate(patience_s)

    def tell(self, second: LoadSecond) -> None:
        """Pass a second on, unless it was told of already."""
        if second.index >= self.told:
            self.told = second.index + 1
            self.on_second(second)

    def late_ms(self, began_ms: Milliseconds) -> Milliseconds:
        """How much later than announced k6 began, given its own word for it."""
        return began_ms - (self.window.start_ns + self._epoch_ns) / NS_PER_MS

    async def _begin_and_follow(self) -> None:
        await trio.sleep_until(self._measure_at - self.plan.warmup_s)
        try:
            await self.api.begin()
        except ApiSilentError:
            self.lost = "k6 did not take the order to begin and was ended"
            return
        await self._follow()

    async def _follow(self) -> None:
        """Read k6's totals once a second until cancelled; a reading that fails is left out."""
        second = self.told
        while True:
            second = max(second + 1, math.ceil(self._now_s() - _LAG_S))
            await trio.sleep_until(self._measure_at + second + _LAG_S)
            t_s = self._now_s() - _LAG_S
            with suppress(ApiSilentError):
                seconds = self.timeline.read(t_s, await self.api.counters(LIVE_COUNTERS))
                self._hear(t_s)
                for complete in seconds:
                    if complete.index + 1 < self.plan.window_s:
                        self.tell(complete)

    def _hear(self, t_s: Seconds) -> None:
        """Note that k6 was alive at that time."""
        self.silence_s = max(self.silence_s, t_s - self._heard_s)
        self._heard_s = t_s

    def _now_s(self) -> Seconds:
        """Seconds since the measured window began."""
        return trio.current_time() - self._measure_at

    def _fate(self, patience_s: Seconds) -> str | None:
        code = self.child.process.returncode
        when = f"{self._now_s():.1f} s after the measured window began"
        if code in _GOOD_EXITS:
            return None
        if code is None:
            return f"k6 hung: it still ran {patience_s:.0f} s after the window's end and was killed"
        if code < 0:
            return f"k6 was ended by {signal.Signals(-code).name} {when}"
        last = " ".join(self.child.tail(1))
        return f"k6 ended with exit code {code} {when}{': ' + last if last else ''}"


async def beside(child: Child, work: Callable[[], Awaitable[None]]) -> None:
    """Do something while a process runs and is read from; return when either has ended."""
    async with trio.open_nursery() as nursery:

        async def until_it_ends() -> None:
            await child.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(child.drain)
        nursery.start_soon(until_it_ends)
        await work()
        nursery.cancel_scope.cancel()
    with trio.move_on_after(_LAST_WORDS_S if child.process.returncode is not None else 0):
        await child.drain()
