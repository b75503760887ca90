"""Reads every source at both ends of a window, and the quick ones every second.

A counter that cannot be read, or that decreased because its owner was restarted, is listed with the reason.
It is never taken for zero.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.endpoint import Endpoint
from runner.core.facts import Window
from runner.core.observed_facts import Counter, Subject, Unreadable
from runner.core.units import NS_PER_S, Nanoseconds
from runner.observe.bounds import MAX_PAGE_S, MAX_PARSE_S
from runner.observe.clock import sleep_until
from runner.observe.counters.io_waits import IoWaits
from runner.observe.counters.level import Levels, Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.pages import AppPage, nginx_status, parse_metrics
from runner.observe.counters.ports import Ports
from runner.observe.counters.reasons import reason_of
from runner.observe.counters.series import Readings, When
from runner.observe.counters.sources import parts_of_system, sources_for
from runner.observe.counters.threads import Threads
from runner.observe.http import fetch_page
from runner.observe.requests import requests_in_window

_EVERY_NS: Final = NS_PER_S
_ReadPage = Callable[[str, str], Awaitable[Levels]]
"""Reads a subject's page, given the subject's name and the URL."""


@dataclass(slots=True)
class Counters:
    """All counters of one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        metrics_urls: Subject's name to the URL of its Prometheus metrics.
        status_urls: Subject's name to nginx's stub_status.
        endpoint: Where the load goes.
        max_connections: How many connections nginx may have at once, None if unknown.

    Attributes:
        readable: The counters that could be read, once `watch` has ended.
        unreadable: Those that could not.
        requests: Subject's name to the requests it counted itself in the window.
        notes: Why some subjects are missing in `requests`.
    """

    subjects: Sequence[Subject]
    window: Window
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    endpoint: Endpoint | None = None
    max_connections: int | None = None
    readable: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _readings: Readings = field(default_factory=Readings)
    _app_pages: dict[str, AppPage] = field(default_factory=dict)

    async def watch(self) -> None:
        """Read until the window ends; never raises for counters that cannot be read.

        A watch that is cancelled in the window reads everything but pages once more: the counters show what
        killed the system under test.
        """
        self._app_pages = {name: AppPage() for name in self.metrics_urls}
        await sleep_until(self.window.measure_ns)
        with ExitStack() as closing:
            waits = IoWaits(parts_of_system(self.subjects), self.window)
            sources = list(sources_for(self.subjects, self.endpoint, waits))
            for source in sources:
                if isinstance(source, Listeners | Ports):
                    closing.callback(source.close)
            await self._read_in_turn(sources, When.BEGIN)
            closing.callback(self._conclude, sources)
            async with trio.open_nursery() as nursery:
                for name, url in self.status_urls.items():
                    nursery.start_soon(self._watch_page, name, "nginx", url, self._read_nginx, self._beats())
                for name, url in self.metrics_urls.items():
                    nursery.start_soon(self._watch_page, name, "app", url, self._read_app, ())
                nursery.start_soon(waits.watch)
                nursery.start_soon(self._every_second, sources)

    def _conclude(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if isinstance(source, Threads):
                self._readings.set_averages(source.scope, source.over_all())
        self.readable, self.unreadable = self._readings.conclude()
        totals = {name: page.requests for name, page in self._app_pages.items()}
        self.requests, self.notes = requests_in_window(totals)

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
        """Read sources one by one and yield to other tasks in between: all together take some 10 ms.

        Ports are counted in a thread: on a host with many connections in TIME_WAIT they alone take that long.
        """
        for source in sources:
            if isinstance(source, Ports):
                await trio.to_thread.run_sync(self._read, source, when)
            else:
                self._read(source, when)
                await trio.lowlevel.checkpoint()

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

    async def _watch_page(
        self, scope: str, family: str, url: str, read: _ReadPage, between: Sequence[Nanoseconds]
    ) -> None:
        """Read a page at both ends, and at some instants in between; not again once an end has failed."""
        begin, end = self.window.measure_ns, self.window.end_ns
        for instant_ns in (begin, *between, end):
            when = {begin: When.BEGIN, end: When.END}.get(instant_ns, When.BETWEEN)
            if when is When.BETWEEN and time.monotonic_ns() > instant_ns + _EVERY_NS:
                continue  # the page is slow: what was missed is not read late
            await sleep_until(instant_ns)
            try:
                with trio.fail_after(MAX_PAGE_S + MAX_PARSE_S):
                    self._readings.add(scope, family, await read(scope, url), when)
            except Exception as error:  # noqa: BLE001  (nothing that is read may end a run)
                self._readings.fail(scope, family, reason_of(error), when)
                if when is When.BEGIN:
                    return

    async def _read_nginx(self, _: str, url: str) -> Levels:
        return nginx_status(await fetch_page(url), self.max_connections)

    async def _read_app(self, name: str, url: str) -> Levels:
        """Parse in a thread: the largest page takes a second, in which samples must be taken."""
        text = await fetch_page(url)
        metrics = await trio.to_thread.run_sync(parse_metrics, text, abandon_on_cancel=True)
        return self._app_pages[name].read(metrics)
