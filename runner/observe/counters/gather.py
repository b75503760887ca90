"""Reads every source at both ends of a window, and the quick ones every second.

A counter that cannot be read, or that decreased because its owner was restarted, is listed with the reason.
It is never taken for zero.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from runner.core.endpoint import Endpoint
from runner.core.facts import Window
from runner.core.observed_facts import Counter, Subject, Unreadable
from runner.core.units import NS_PER_MS, NS_PER_S, Nanoseconds, Seconds
from runner.observe.clock import sleep_until
from runner.observe.counters.io_waits import IoWaits
from runner.observe.counters.level import Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.ports import Ports
from runner.observe.counters.process_titles import ProcessTitles
from runner.observe.counters.reasons import reason_of
from runner.observe.counters.series import Readings, When
from runner.observe.counters.sources import parts_of_system, sources_for
from runner.observe.counters.threads import Threads

_EVERY_NS: Final = NS_PER_S
_YIELD_AFTER_NS: Final[Nanoseconds] = NS_PER_MS


class Pages(Protocol):
    """Reads counters over HTTP; `runner.observe.counters.page_watch` does it with an HTTP client."""

    async def watch(self, window: Window, readings: Readings) -> None:
        """Read until the window ends; never raises for pages that cannot be read."""

    def requests(self) -> tuple[Mapping[str, int], tuple[str, ...]]:
        """Return the requests that each subject counted itself in the window, and why others are missing."""


@dataclass(slots=True)
class Counters:
    """All counters of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        pages: What the app and the proxy publish over HTTP; None for nothing.
        endpoint: Where the load goes.
        listening: On another machine, subject's name to the ports at which it listens.
        io_every_s: How often to look which parts wait for disks.

    Attributes:
        readable: The counters that could be read, once `watch` has ended.
        unreadable: Those that could not.
        requests: Subject's name to the requests it counted itself in the window.
        notes: Why some subjects are missing in `requests`.
    """

    subjects: Sequence[Subject]
    window: Window
    pages: Pages | None = None
    endpoint: Endpoint | None = None
    listening: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    io_every_s: Seconds = 0.05
    readable: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _readings: Readings = field(default_factory=Readings)

    async def watch(self) -> None:
        """Read until the window ends; never raises for counters that cannot be read.

        A watch that is cancelled in the window reads everything but pages once more: the counters show what
        killed the system under test.
        """
        await sleep_until(self.window.measure_ns)
        with ExitStack() as closing:
            waits = IoWaits(parts_of_system(self.subjects), self.window, self.io_every_s)
            sources = list(sources_for(self.subjects, self.endpoint, waits, self.listening))
            for source in sources:
                if isinstance(source, Listeners | Ports):
                    closing.callback(source.close)
            await self._read_in_turn(sources, When.BEGIN)
            closing.callback(self._conclude, sources)
            async with trio.open_nursery() as nursery:
                if self.pages is not None:
                    nursery.start_soon(self.pages.watch, self.window, self._readings)
                nursery.start_soon(waits.watch)
                nursery.start_soon(self._every_second, sources)

    def _conclude(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if isinstance(source, Threads | Listeners | ProcessTitles):
                self._readings.set_averages(source.scope, source.over_all())
        self.readable, self.unreadable = self._readings.conclude()
        if self.pages is not None:
            self.requests, self.notes = self.pages.requests()

    async def _every_second(self, sources: Sequence[Source]) -> None:
        try:
            for instant_ns in self._beats():
                await sleep_until(instant_ns)
                quick = [
                    source
                    for source in sources
                    if source.every_second and not self._readings.has_failed(source)
                ]
                await self._read_in_turn(quick, When.BETWEEN)
            await sleep_until(self.window.end_ns)
            await self._read_in_turn(sources, When.END)
        except trio.Cancelled:
            for source in sources:
                self._read(source, When.END)
            raise

    async def _read_in_turn(self, sources: Sequence[Source], when: When) -> None:
        """Read sources one by one and yield to other tasks every few of them: all together take some 10 ms.

        Ports are counted in a thread: on a host with many connections in TIME_WAIT they alone take that long.
        """
        begin_ns = time.monotonic_ns()
        for source in sources:
            if isinstance(source, Ports):
                await trio.to_thread.run_sync(self._read, source, when)
                begin_ns = time.monotonic_ns()
            else:
                self._read(source, when)
                if time.monotonic_ns() - begin_ns >= _YIELD_AFTER_NS:
                    await trio.lowlevel.checkpoint()
                    begin_ns = time.monotonic_ns()

    def _read(self, source: Source, when: When) -> None:
        try:
            levels = source.read()
        except Exception as error:  # noqa: BLE001  (nothing that is read may end a run)
            self._readings.fail(source.scope, source.family, reason_of(error), when)
        else:
            self._readings.add(source.scope, source.family, levels, when)

    def _beats(self) -> range:
        """Return every whole second within the window, without its ends."""
        return range(self.window.measure_ns + _EVERY_NS, self.window.end_ns, _EVERY_NS)
