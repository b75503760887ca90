"""The generator's loop: it follows an absolute schedule, and counts every request exactly once.

One thread. It sleeps until the next request is due, sends it, then reads the responses that have arrived
meanwhile; the kernel timestamped them on arrival. It waits for readable sockets only where our own clock must
timestamp the event, or when no arrival is due soon.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from runner.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds, ns
from runner.load.exchange import Exchange
from runner.load.extensions import compiled
from runner.load.pacing import HOPELESS_NS, Bunch
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.timers import PeriodicTimer, Timer
from runner.load.worker_order import WorkerOrder

_HOUSEKEEPING_NS: Final = 100 * NS_PER_MS
_ENDING_NS: Final = 5 * NS_PER_MS
_STALL_NS: Final = 250 * NS_PER_MS
_MAX_BLIND_NS: Final = 1100 * NS_PER_US
_SPIN_NS: Final = 15 * NS_PER_US
_FOLDED: Final = 100
_FOLDING_NS: Final = 150 * NS_PER_US
_MAX_AT_ONCE: Final = 256
_OVERDUE_CHECKS_NS: Final = (10 * NS_PER_MS, 500 * NS_PER_MS)


class Loop:
    """Offers one worker's part of a stage.

    Args:
        order: What to offer.
        arrivals: When requests are due, in nanoseconds after the start, and how many each time.
        emit: Called with every finished second.

    Attributes:
        exchange: The connections.
        longest_stall_ns: The longest time in which the loop did not run at all.
        clock_shift_ns: By how much the wall clock was moved against the monotonic one in total.
        too_late: Arrivals due in the measured window that were dropped because the loop did not run, or fell
            behind, until they were hopelessly late, and not because there was no free slot.
    """

    def __init__(self, order: WorkerOrder, arrivals: Iterator[Bunch], emit: Callable[[Tally], None]) -> None:
        self.longest_stall_ns = self.clock_shift_ns = self.too_late = 0
        self._order, self._emit_complete = order, emit
        self._arrivals = arrivals
        self._offset = _clock_offset()
        scenarios = len(order.scenarios.scenarios) if order.scenarios else 0
        self._timeline = Timeline(0, order.warmup, order.duration, self._emit, len(order.requests), scenarios)
        self.exchange = self._make_exchange()
        self._folds = self.exchange.leaves_unfolded
        self._timer = Timer()
        self._periodic_timer = _periodic_timer(order)
        self.exchange.epoll.register(self._timer.fd, select.EPOLLIN | select.EPOLLET)
        self._waiting: deque[Nanoseconds] = deque()
        self._start = self._looked_at = 0
        self._next_due: Nanoseconds | None = None
        self._next_count = 0
        self._abandoned_ns: Nanoseconds = 0
        self._armed = 0
        shortest, longest = _OVERDUE_CHECKS_NS
        self._overdue_period_ns = min(max(ns(order.timeout) // 20, shortest), longest)
        self._housekeeping = self._overdue_check = 0

    def _make_exchange(self) -> Exchange:
        return _exchange(self._order, self._timeline)

    def run(self, start_ns: Nanoseconds, stopped: Callable[[], bool]) -> None:
        """Offer the whole schedule and wait for the last responses.

        Args:
            start_ns: When the first arrival is due, on CLOCK_MONOTONIC.
            stopped: Called ten times a second; returns whether to give up.
        """
        self._begin(start_ns)
        self._next_due, self._next_count = self._next_bunch()
        self._align_timer()
        exchange, waiting = self.exchange, self._waiting
        poll, clock = exchange.poll, time.time_ns
        while True:
            now = clock()
            self._look(now)
            due = self._next_due
            if waiting:
                self._dispatch_waiting()
            if due is not None and due <= now:
                due = self._dispatch(due, now)
            if due is None:
                poll(0.01)
            elif due <= now:
                poll(0)
            elif exchange.urgent or waiting or due - now > _MAX_BLIND_NS:
                self._arm(due)
                poll(0.1)
            else:
                poll(0)
                self._pause(due)
            if now >= self._housekeeping and (stopped() or self._housekeep(now)):
                return

    def close(self) -> None:
        """Close every connection; requests under way are not counted any more."""
        self.exchange.close()
        self._timer.close()
        if self._periodic_timer is not None:
            self._periodic_timer.close()

    def _begin(self, start_ns: Nanoseconds) -> None:
        """Let the timeline begin at an instant on CLOCK_MONOTONIC."""
        self._offset = _clock_offset()
        self._start = self._looked_at = start_ns + self._offset
        self._timeline.shift(self._start)
        self._timeline.advance(self._start)

    def _look(self, now: Nanoseconds) -> None:
        """Notice that the loop did not run or that the clock was stepped, and that a second has ended."""
        if not -_STALL_NS <= now - self._looked_at <= _STALL_NS:
            self._follow_clock()
            self.longest_stall_ns = max(self.longest_stall_ns, now - self._looked_at)
        self._looked_at = max(now, self._start)
        if now >= self._timeline.ends_ns:
            self._timeline.advance(now)

    def _emit(self, second: Tally) -> None:
        """Emit a second with all that was counted in it."""
        self.exchange.hand_over()
        self._emit_complete(second)

    def _arm(self, instant: Nanoseconds) -> None:
        """Let polling end at an instant."""
        if instant != self._armed:
            self._timer.at(instant - self._offset)
            self._armed = instant

    def _pause(self, due: Nanoseconds) -> None:
        """Wait until an arrival is due; for a short time, spinning costs less than sleeping."""
        clock, second = time.time_ns, self._timeline.current
        pause = due - clock()
        if self._folds and pause > _FOLDING_NS and second.unfolded > _FOLDED:
            second.fold()
            pause = due - clock()
        if self._periodic_timer is not None and pause > _SPIN_NS:
            self._periodic_timer.wait(due - self._offset)
            pause = due - clock()
        if pause > _SPIN_NS:
            time.sleep(pause / NS_PER_S)
        while 0 < due - clock() <= _SPIN_NS:
            pass

    def _dispatch_waiting(self) -> None:
        """Dispatch arrivals that have waited for a free slot."""
        exchange, max_in_flight = self.exchange, self._order.max_in_flight
        while self._waiting and exchange.in_flight < max_in_flight:
            due = self._waiting.popleft()
            measured = due >= self._timeline.measure_ns
            if measured:
                self._count_lateness(max(due, exchange.freed_ns), 1)
            exchange.send_due(due, 1, measured)

    def _dispatch(self, due: Nanoseconds | None, now: Nanoseconds) -> Nanoseconds | None:
        """Dispatch what is due; let it wait, or drop it, if there is no free slot. Returns the next due time.

        A loop that lags behind its schedule dispatches in parts, so that it reads and reports in between.
        One that lags hopelessly drops all that is due, lest the service receives a burst instead of a rate.
        """
        timeline, count = self._timeline, self._next_count
        if due is not None and now - due > HOPELESS_NS:
            self._abandoned_ns = now
        budget, abandoned_ns = _MAX_AT_ONCE, self._abandoned_ns
        while due is not None and due <= now and budget:
            part = min(count, budget)
            budget -= part
            measured = due >= timeline.measure_ns
            if measured:
                tally = timeline.current if due >= timeline.begins_ns else timeline.at(due)
                tally.scheduled += part
            if due < abandoned_ns:
                self.exchange.drop_due(part, measured)
                self.too_late += part if measured else 0
            elif left := part if self._waiting else self._send_as_many(due, part, measured):
                self._hold_or_drop(due, left, measured)
            count -= part
            if not count:
                due, count = self._next_bunch()
        self._next_due, self._next_count = due, count
        return due

    def _hold_or_drop(self, due: Nanoseconds, count: int, measured: bool) -> None:
        """Let arrivals wait for a free slot, or drop them."""
        if self._order.when_full == "queue":
            self._waiting.extend([due] * count)
        else:
            self.exchange.drop_due(count, measured)

    def _send_as_many(self, due: Nanoseconds, count: int, measured: bool) -> int:
        """Send as many as there are free slots; returns how many are left."""
        exchange, max_in_flight = self.exchange, self._order.max_in_flight
        queue = measured and self._order.when_full == "queue"
        possible = due
        while count:
            free = max_in_flight - exchange.in_flight
            if free < count:
                # responses that have arrived but were not read yet free their slots
                exchange.poll(0)
                free = max_in_flight - exchange.in_flight
                if free <= 0:
                    break
                possible = max(due, exchange.freed_ns)
            part = min(free, count)
            if queue:
                self._count_lateness(possible, part)
            exchange.send_due(due, part, measured)
            count -= part
        return count

    def _count_lateness(self, possible: Nanoseconds, count: int) -> None:
        """Record how late the generator is with requests that could be sent since some instant."""
        late = time.time_ns() - possible
        add = self._timeline.current.lateness.add
        for _ in range(count):
            add(late)

    def _next_bunch(self) -> tuple[Nanoseconds | None, int]:
        after_start, count = next(self._arrivals, (None, 0))
        return (None, 0) if after_start is None else (self._start + after_start, count)

    def _housekeep(self, now: Nanoseconds) -> bool:
        """Close seconds, fail overdue requests, follow the wall clock; returns whether the stage is over."""
        # once everything has been sent, the stage should end with its last response
        end = self._timeline.end_ns
        period = _ENDING_NS if now >= end else min(_HOUSEKEEPING_NS, end - now)
        self._housekeeping = now + min(period, self._overdue_period_ns)
        if now >= self._overdue_check:
            self._overdue_check = now + self._overdue_period_ns
            self.exchange.end_overdue(now)
        self._timeline.close(now)
        self._follow_clock()
        self._align_timer()
        return self._next_due is None and self._finish(now)

    def _follow_clock(self) -> None:
        """Shift everything that is measured on the wall clock if the clock was stepped or slewed."""
        shift = _clock_offset() - self._offset
        if abs(shift) > NS_PER_US:
            self.clock_shift_ns += abs(shift)
            self._offset += shift
            self._start += shift
            self._looked_at += shift
            self._abandoned_ns += shift
            self._housekeeping += shift
            self._overdue_check += shift
            self._timeline.shift(shift)
            self._next_due = self._next_due + shift if self._next_due is not None else None

    def _align_timer(self) -> None:
        if self._periodic_timer is not None and self._next_due is not None:
            self._periodic_timer.align(self._next_due - self._offset)

    def _finish(self, now: Nanoseconds) -> bool:
        """Return whether all requests have ended; gives up on waiting arrivals after the timeout."""
        if self._waiting and now > self._timeline.end_ns + ns(self._order.timeout):
            had_slots = self.exchange.in_flight < self._order.max_in_flight
            for due in self._waiting:
                measured = due >= self._timeline.measure_ns
                self.exchange.drop_due(1, measured)
                self.too_late += measured and had_slots
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
    """Return the compiled exchange for plain HTTP; the one in Python if it is not built or out of date."""
    extension = compiled("fastcounts") and compiled("fastpath")
    return extension.FastExchange if extension else Exchange


def _periodic_timer(order: WorkerOrder) -> PeriodicTimer | None:
    """Return a timer for arrivals on an even grid that are too close for other work in between, else None.

    A quantum shorter than the gap makes no even grid; for gaps of a few microseconds the loop spins.
    """
    fastest = max(order.rate, order.rate_to or 0)
    if not fastest:
        return None
    gap_ns = round(order.workers * NS_PER_S / fastest)
    period_ns = 0 if order.poisson or order.ramp else gap_ns
    if order.quantum_ns:
        period_ns = order.quantum_ns if order.quantum_ns >= gap_ns else 0
    return PeriodicTimer(period_ns) if _SPIN_NS < period_ns <= _MAX_BLIND_NS else None


def _clock_offset() -> Nanoseconds:
    """Return CLOCK_REALTIME − CLOCK_MONOTONIC, from the closest of a few pairs of readings."""
    best: tuple[int, int] | None = None
    for _ in range(5):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        reading = (after - before, real - (before + after) // 2)
        best = min(best, reading) if best else reading
    assert best is not None
    return best[1]
