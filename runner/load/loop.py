"""The generator's clockwork: an absolute schedule in, every request in exactly one count out.

One thread. It sleeps until the next request is due, sends, then reads what has come back
meanwhile; the kernel stamped the answers when they came. Only what our own clock must stamp, or
a stage without arrivals soon, makes it wake for readiness.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from runner.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds, ns
from runner.load.exchange import Exchange
from runner.load.pacing import Bunch
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.timers import Alarm, Metronome
from runner.load.worker_order import WorkerOrder

_HOUSEKEEPING_NS: Final = 100 * NS_PER_MS
_ENDING_NS: Final = 5 * NS_PER_MS
_STALL_NS: Final = 250 * NS_PER_MS
_LONGEST_BLIND_NS: Final = 1100 * NS_PER_US
_SPIN_NS: Final = 15 * NS_PER_US
_FOLDED: Final = 100
_FOLDING_NS: Final = 150 * NS_PER_US
_CATCH_UP_NS: Final = NS_PER_S
_MOST_AT_ONCE: Final = 256
_OVERDUE_CHECKS_NS: Final = (10 * NS_PER_MS, 500 * NS_PER_MS)


class Loop:
    """Offers one worker's part of a stage.

    Args:
        order: What to offer.
        arrivals: When requests are due, in nanoseconds after the start, and how many each time.
        emit: Given every finished second.

    Attributes:
        exchange: The connections.
        longest_stall_ns: The longest time in which the loop did not run at all.
        clock_shift_ns: By how much the wall clock was moved against the monotonic one in all.
    """

    def __init__(self, order: WorkerOrder, arrivals: Iterator[Bunch], emit: Callable[[Tally], None]) -> None:
        self.longest_stall_ns = self.clock_shift_ns = 0
        self._order = order
        self._arrivals = arrivals
        self._offset = _clock_offset()
        self._timeline = Timeline(0, order.warmup, order.duration, emit)
        self.exchange = _exchange(order, self._timeline)
        self._alarm = Alarm()
        self._metronome = _metronome(order)
        self.exchange.epoll.register(self._alarm.fd, select.EPOLLIN | select.EPOLLET)
        self._waiting: deque[Nanoseconds] = deque()
        self._start = 0
        self._next_due: Nanoseconds | None = None
        self._next_count = 0
        self._armed = 0
        least, most = _OVERDUE_CHECKS_NS
        self._overdue_period_ns = min(max(ns(order.timeout) // 20, least), most)
        self._housekeeping = self._overdue_check = 0
        self._patience_ns = ns(order.timeout) if order.when_full == "queue" else _CATCH_UP_NS

    def run(self, start_ns: Nanoseconds, stopped: Callable[[], bool]) -> None:
        """Offer the whole schedule and wait for the last answers.

        Args:
            start_ns: When the first arrival is due, on CLOCK_MONOTONIC.
            stopped: Asked ten times a second whether to give up.
        """
        self._offset = _clock_offset()
        self._start = start_ns + self._offset
        self._timeline.shift(self._start)
        self._timeline.turn(self._start)
        self._next_due, self._next_count = self._following()
        self._tune()
        exchange, timeline, waiting = self.exchange, self._timeline, self._waiting
        attend, clock = exchange.attend, time.time_ns
        looked_at = max(clock(), self._start)
        while True:
            now = clock()
            if now - looked_at > _STALL_NS:
                self.longest_stall_ns = max(self.longest_stall_ns, now - looked_at)
            looked_at = max(now, self._start)
            if now >= timeline.ends_ns:
                timeline.turn(now)
            due = self._next_due
            if waiting:
                self._ask_waiting()
            if due is not None and due <= now:
                due = self._ask(due, now)
            if due is None:
                attend(0.01)
            elif due <= now:
                attend(0)
            elif exchange.pressing or waiting or due - now > _LONGEST_BLIND_NS:
                if due != self._armed:
                    self._alarm.at(due - self._offset)
                    self._armed = due
                attend(0.1)
            else:
                attend(0)
                pause = due - clock()
                if pause > _FOLDING_NS and len(timeline.current.dispatch_delay.values) > _FOLDED:
                    timeline.current.fold()
                    pause = due - clock()
                if pause > 0:
                    self._wait(due, pause)
            if now >= self._housekeeping and (stopped() or self._keep_house(now)):
                return

    def close(self) -> None:
        """Close every connection; what is under way is not counted any more."""
        self.exchange.close()
        self._alarm.close()
        if self._metronome is not None:
            self._metronome.close()

    def _wait(self, due: Nanoseconds, pause: Nanoseconds) -> None:
        """See to nothing until an arrival is due; sleeping costs more than a moment's spinning."""
        clock = time.time_ns
        if self._metronome is not None and pause > _SPIN_NS:
            self._metronome.wait(due - self._offset)
            pause = due - clock()
        if pause > _SPIN_NS:
            time.sleep(pause / NS_PER_S)
        while 0 < due - clock() <= _SPIN_NS:
            pass

    def _ask_waiting(self) -> None:
        """Take up what has waited for a free slot."""
        exchange, most = self.exchange, self._order.max_in_flight
        while self._waiting and exchange.in_flight < most:
            due = self._waiting.popleft()
            exchange.ask(due, 1, due >= self._timeline.measure_ns)

    def _ask(self, due: Nanoseconds | None, now: Nanoseconds) -> Nanoseconds | None:
        """Take up what is due, let it wait or drop it when full; returns when the next is due.

        A loop that lags behind its schedule takes up a part, so that it reads and reports
        in between. What it could not take up by then is dropped soon after the window's end.
        """
        timeline, count = self._timeline, self._next_count
        too_late = now > timeline.end_ns + self._patience_ns
        budget = _MOST_AT_ONCE
        while due is not None and due <= now and budget:
            part = min(count, budget)
            budget -= part
            measured = due >= timeline.measure_ns
            if measured:
                tally = timeline.current if due >= timeline.begins_ns else timeline.at(due)
                tally.scheduled += part
            left = part if self._waiting or too_late else self._take_up(due, part, measured)
            if left and self._order.when_full == "queue":
                self._waiting.extend([due] * left)
            elif left and measured:
                timeline.current.dropped += left
            count -= part
            if not count:
                due, count = self._following()
        self._next_due, self._next_count = due, count
        return due

    def _take_up(self, due: Nanoseconds, count: int, measured: bool) -> int:
        """Ask as often as there is room for; how many were too many."""
        exchange, most = self.exchange, self._order.max_in_flight
        while count:
            room = most - exchange.in_flight
            if room < count:
                # answers that have come but were not read yet make room
                exchange.attend(0)
                room = most - exchange.in_flight
                if room <= 0:
                    break
            part = min(room, count)
            exchange.ask(due, part, measured)
            count -= part
        return count

    def _following(self) -> tuple[Nanoseconds | None, int]:
        after_start, count = next(self._arrivals, (None, 0))
        return (None, 0) if after_start is None else (self._start + after_start, count)

    def _keep_house(self, now: Nanoseconds) -> bool:
        """Close seconds, end what took too long, follow the wall clock; whether the stage is over."""
        # once everything has been sent, the stage should end with its last answer
        period = _ENDING_NS if self._next_due is None else _HOUSEKEEPING_NS
        self._housekeeping = now + min(period, self._overdue_period_ns)
        if now >= self._overdue_check:
            self._overdue_check = now + self._overdue_period_ns
            self.exchange.end_overdue(now)
        self._timeline.close(now)
        self._follow_clock()
        self._tune()
        return self._next_due is None and self._finish(now)

    def _follow_clock(self) -> None:
        """The wall clock was stepped or slewed: move everything that is measured on it."""
        shift = _clock_offset() - self._offset
        if abs(shift) > NS_PER_US:
            self.clock_shift_ns += abs(shift)
            self._offset += shift
            self._start += shift
            self._timeline.shift(shift)
            self._next_due = self._next_due + shift if self._next_due is not None else None

    def _tune(self) -> None:
        if self._metronome is not None and self._next_due is not None:
            self._metronome.tune(self._next_due - self._offset)

    def _finish(self, now: Nanoseconds) -> bool:
        """Whether everything that was due has ended; gives up on waiting arrivals after the time-out."""
        if self._waiting and now > self._timeline.end_ns + self._patience_ns:
            measured = sum(due >= self._timeline.measure_ns for due in self._waiting)
            self._timeline.current.dropped += measured
            self._waiting.clear()
        if self.exchange.in_flight or self._waiting or now < self._timeline.end_ns:
            return False
        self._timeline.close_all()
        return True


def _exchange(order: WorkerOrder, timeline: Timeline) -> Exchange:
    if order.tls is None:
        return plain_exchange()(order, timeline)
    from runner.load.tls_exchange import TlsExchange  # noqa: PLC0415  (OpenSSL costs 4 MiB, and plain HTTP needs none)

    return TlsExchange(order, timeline, order.tls)


def plain_exchange() -> type[Exchange]:
    """The compiled way of doing plain HTTP, or that in Python where there is no other."""
    if os.environ.get("LOADPROOF_NO_EXTENSIONS"):
        return Exchange
    try:
        from runner.load.fastpath import FastExchange  # noqa: PLC0415  (need not have been built)
    except ImportError:
        return Exchange
    return FastExchange


def _metronome(order: WorkerOrder) -> Metronome | None:
    """For arrivals on an even grid, too close for anything else to be done in between.

    A quantum shorter than the gap makes no even grid; closer than some microseconds, waiting is spinning.
    """
    gap_ns = round(order.workers * NS_PER_S / order.rate)
    period_ns = 0 if order.poisson else gap_ns
    if order.quantum_ns:
        period_ns = order.quantum_ns if order.quantum_ns >= gap_ns else 0
    return Metronome(period_ns) if _SPIN_NS < period_ns <= _LONGEST_BLIND_NS else None


def _clock_offset() -> Nanoseconds:
    """CLOCK_REALTIME − CLOCK_MONOTONIC, from the tightest of a few readings."""
    best: tuple[int, int] | None = None
    for _ in range(5):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        reading = (after - before, real - (before + after) // 2)
        best = min(best, reading) if best else reading
    assert best is not None
    return best[1]
