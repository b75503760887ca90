"""Reads every source at both ends of a window and the quick ones every second.

A counter that cannot be read, or that went back because its owner was started again, is
listed with the reason. It is never taken for zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import trio

from runner.core.facts import Counter, Endpoint, Subject, Unreadable, Window
from runner.core.units import NS_PER_S, Nanoseconds
from runner.observe.counters.level import Levels, Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.pages import AppPage, nginx_status
from runner.observe.counters.ports import Ports
from runner.observe.counters.series import Ledger, When
from runner.observe.counters.sources import sources_for
from runner.observe.counters.threads import Threads
from runner.observe.http import plain_client

_EVERY_NS: Final = NS_PER_S
_PAGE_TIMEOUT_S: Final = 3.0
_AGAIN_S: Final = 0.25
_Parse = Callable[[str], Levels]


@dataclass(slots=True)
class Counters:
    """All counters of one trial.

    Args:
        subjects: Everything that is watched.
        window: The trial's parts.
        metrics_urls: Subject's name to the URL of its Prometheus metrics.
        status_urls: Subject's name to nginx's stub_status.
        endpoint: Where the load goes.
        room: How many connections nginx may have at once, None when unknown.

    Attributes:
        found: What could be read, once `watch` has ended.
        unreadable: What could not.
    """

    subjects: Sequence[Subject]
    window: Window
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    endpoint: Endpoint | None = None
    room: int | None = None
    found: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    _ledger: Ledger = field(default_factory=Ledger)

    async def watch(self) -> None:
        """Read until the window ends; never raises for what cannot be read.

        A watch that is cancelled in the window reads once more, pages excepted: what killed the
        system under test shows in its counters.
        """
        await _sleep_until(self.window.measure_ns)
        with ExitStack() as closing:
            sources = list(sources_for(self.subjects, self.endpoint))
            for source in sources:
                if isinstance(source, Listeners | Ports):
                    closing.callback(source.close)
            await self._read_in_turn(sources, When.BEGIN)
            closing.callback(self._conclude, sources)
            async with trio.open_nursery() as nursery:
                for name, url in self.status_urls.items():
                    read = partial(nginx_status, limit=self.room)
                    nursery.start_soon(self._watch_page, name, "nginx", url, read, self._beats())
                for name, url in self.metrics_urls.items():
                    nursery.start_soon(self._watch_page, name, "app", url, AppPage().read, ())
                nursery.start_soon(self._every_second, sources)

    def _conclude(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if isinstance(source, Threads):
                self._ledger.average(source.scope, source.over_all())
        self.found, self.unreadable = self._ledger.conclude()

    async def _every_second(self, sources: Sequence[Source]) -> None:
        try:
            for instant_ns in self._beats():
                await _sleep_until(instant_ns)
                quick = [each for each in sources if each.always and not self._ledger.has_failed(each)]
                await self._read_in_turn(quick, When.BETWEEN)
            await _sleep_until(self.window.end_ns)
            await self._read_in_turn(sources, When.END)
        except trio.Cancelled:
            for source in sources:
                self._read(source, When.END)
            raise

    async def _read_in_turn(self, sources: Sequence[Source], when: When) -> None:
        """One after the other, with room for others in between: all together take some ten milliseconds.

        Ports are counted in a thread: a host full of connections in TIME_WAIT takes that long alone.
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
        except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
            self._ledger.fail(source.scope, source.family, _reason(error), when)
        else:
            self._ledger.take(source.scope, source.family, levels, when)

    def _beats(self) -> range:
        """Every whole second within the window, its ends left out."""
        return range(self.window.measure_ns + _EVERY_NS, self.window.end_ns, _EVERY_NS)

    async def _watch_page(
        self, scope: str, family: str, url: str, parse: _Parse, between: Sequence[Nanoseconds]
    ) -> None:
        """Read a page at both ends, and at some instants in between."""
        instants = [
            (self.window.measure_ns, When.BEGIN),
            *((instant_ns, When.BETWEEN) for instant_ns in between),
            (self.window.end_ns, When.END),
        ]
        for instant_ns, when in instants:
            await _sleep_until(instant_ns)
            try:
                with trio.fail_after(_PAGE_TIMEOUT_S):
                    text = await _page(url)
                self._ledger.take(scope, family, parse(text), when)
            except trio.TooSlowError:
                self._ledger.fail(scope, family, "its page did not answer in time", when)
            except (httpx.HTTPError, ValueError) as error:
                self._ledger.fail(scope, family, _reason(error), when)


async def _page(url: str) -> str:
    """A page's text, asked for again when the connection is closed: its owner may be at its limit.

    The connection is closed at once; a proxy that runs out of them must not miss ours.
    """
    until = trio.current_time() + _PAGE_TIMEOUT_S - _AGAIN_S
    while True:
        try:
            async with plain_client(_PAGE_TIMEOUT_S) as client:
                answer = await client.get(url)
                answer.raise_for_status()
                return answer.text
        except httpx.ConnectError:
            raise
        except httpx.TransportError:
            if trio.current_time() >= until:
                raise
            await trio.sleep(_AGAIN_S)


async def _sleep_until(instant_ns: Nanoseconds) -> None:
    await trio.sleep(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S))


_REASONS: Final = (
    (PermissionError, "not permitted"),
    (ProcessLookupError, "its process has ended"),
    (FileNotFoundError, "this kernel or host does not have it"),
)


def _has_ended(missing: Path) -> bool:
    """Whether a file is missing because the process that it told of is."""
    root, proc, pid, *_ = (*missing.parts, "", "", "")
    return (root, proc) == ("/", "proc") and pid.isdecimal() and not Path("/proc", pid).exists()


def _reason(error: Exception) -> str:
    """Why a source could not be read, in words for people."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"its page answered {error.response.status_code}"
    if isinstance(error, httpx.HTTPError):
        return f"its page could not be read ({type(error).__name__})"
    if isinstance(error, FileNotFoundError) and _has_ended(Path(str(error.filename))):
        return "its process has ended"
    known = next((words for kind, words in _REASONS if isinstance(error, kind)), None)
    if known is None and isinstance(error, OSError):
        known = error.strerror
    return known or "it has a form that is not known"
