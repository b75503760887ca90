"""Reads the pages of nginx and the app over a window."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.facts import Window
from runner.core.units import NS_PER_S, Nanoseconds
from runner.observe.bounds import MAX_PAGE_S, MAX_PARSE_S
from runner.observe.clock import sleep_until
from runner.observe.counters.level import Levels
from runner.observe.counters.pages import AppPage, nginx_status, parse_metrics
from runner.observe.counters.reasons import reason_of
from runner.observe.counters.series import ReadAt, Readings, When
from runner.observe.http import fetch_page
from runner.observe.requests import requests_in_window

_EVERY_NS: Final = NS_PER_S
_ReadPage = Callable[[str, str], Awaitable[Levels]]
"""Reads a subject's page, given the subject's name and the URL."""


@dataclass(slots=True)
class Pages:
    """The pages of one trial.

    Args:
        metrics_urls: Subject's name to the URL of its Prometheus metrics.
        status_urls: Subject's name to nginx's stub_status.
        max_connections: How many connections nginx may have at once, None if unknown.
        fetch: Returns the text of a page, as `runner.observe.http.fetch_page` does.
    """

    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    max_connections: int | None = None
    fetch: Callable[[str], Awaitable[str]] | None = None
    _app_pages: dict[str, AppPage] = field(init=False)

    def __post_init__(self) -> None:
        self._app_pages = {name: AppPage() for name in self.metrics_urls}

    async def watch(self, window: Window, readings: Readings) -> None:
        """Read until the window ends; never raises for pages that cannot be read.

        Args:
            window: The trial's parts.
            readings: Receives what was read.
        """
        seconds = range(window.measure_ns + _EVERY_NS, window.end_ns, _EVERY_NS)
        async with trio.open_nursery() as nursery:
            for name, url in self.status_urls.items():
                one = _Page(name, "nginx", url, self._read_nginx, window, readings)
                nursery.start_soon(one.watch, seconds)
            for name, url in self.metrics_urls.items():
                one = _Page(name, "app", url, self._read_app, window, readings)
                nursery.start_soon(one.watch, ())

    def requests(self) -> tuple[Mapping[str, int], tuple[str, ...]]:
        """Return the requests that each subject counted itself in the window, and why others are missing."""
        return requests_in_window({name: page.requests for name, page in self._app_pages.items()})

    async def _text(self, url: str) -> str:
        return await (self.fetch or fetch_page)(url)

    async def _read_nginx(self, _: str, url: str) -> Levels:
        return nginx_status(await self._text(url), self.max_connections)

    async def _read_app(self, name: str, url: str) -> Levels:
        """Parse in a thread: the largest page takes a second, in which samples must be taken."""
        text = await self._text(url)
        metrics = await trio.to_thread.run_sync(parse_metrics, text, abandon_on_cancel=True)
        return self._app_pages[name].read(metrics)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page over a window."""

    scope: str
    family: str
    url: str
    read: _ReadPage
    window: Window
    readings: Readings

    async def watch(self, between: Sequence[Nanoseconds]) -> None:
        """Read a page at both ends, and at some instants in between; not again once an end has failed."""
        begin, end = self.window.measure_ns, self.window.end_ns
        self.readings.expect(self.scope, self.family)
        for instant_ns in (begin, *between, end):
            when = {begin: When.BEGIN, end: When.END}.get(instant_ns, When.BETWEEN)
            if when is When.BETWEEN and time.monotonic_ns() > instant_ns + _EVERY_NS:
                continue  # the page is slow: what was missed is not read late
            await sleep_until(instant_ns)
            try:
                with trio.fail_after(MAX_PAGE_S + MAX_PARSE_S):
                    levels = await self.read(self.scope, self.url)
                due_ns, now_ns = instant_ns - begin, time.monotonic_ns() - begin
                read_at = ReadAt(due_ns / NS_PER_S, now_ns / NS_PER_S)
                self.readings.add(self.scope, self.family, levels, when, read_at)
            except Exception as error:  # noqa: BLE001  (nothing that is read may end a run)
                self.readings.fail(self.scope, self.family, reason_of(error), when)
                if when is When.BEGIN:
                    return
