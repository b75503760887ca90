"""Reads every source at both ends of a window and the quick ones every second, and compares.

A counter that cannot be read, or that went back because its owner was started again, is
listed with the reason. It is never taken for zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import trio

from runner.facts import Counter, Role, Subject, Unreadable, Window
from runner.observe.counters.host import Cpus, Memory, Pressure, Softnet
from runner.observe.counters.level import Level, Levels, Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.network import Conntrack, Ports, Tcp
from runner.observe.counters.pages import app_metrics, nginx_status
from runner.observe.counters.subject import Files, GroupMemory, Switches, Threads, processes
from runner.units import NS_PER_S, Nanoseconds

_EVERY_NS: Final = NS_PER_S
_PAGE_TIMEOUT_S: Final = 2.0
_WATCHED: Final = (Role.APP, Role.PROXY, Role.FORWARDER)
_Key = tuple[str, str]


@dataclass(slots=True)
class Counters:
    """All counters of one trial.

    Args:
        subjects: Everything that is watched.
        window: The trial's parts.
        metrics_urls: Subject's name to the URL of its Prometheus metrics.
        status_urls: Subject's name to nginx's stub_status.

    Attributes:
        found: What could be read, once `watch` has returned.
        unreadable: What could not.
    """

    subjects: Sequence[Subject]
    window: Window
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    found: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    _first: dict[_Key, Level] = field(default_factory=dict)
    _last: dict[_Key, Level] = field(default_factory=dict)
    _peaks: dict[_Key, float] = field(default_factory=dict)
    _faults: dict[_Key, str] = field(default_factory=dict)

    async def watch(self) -> None:
        """Read until the window ends; never raises for what cannot be read."""
        sources = list(sources_for(self.subjects))
        with ExitStack() as closing:
            for source in sources:
                if isinstance(source, Listeners):
                    closing.callback(source.close)
            async with httpx.AsyncClient(timeout=_PAGE_TIMEOUT_S, trust_env=False) as client:
                await _sleep_until(self.window.measure_ns)
                self._read(sources, everything=True)
                await self._read_pages(client)
                await self._every_second(sources)
                await _sleep_until(self.window.end_ns)
                self._read(sources, everything=True)
                await self._read_pages(client)
        for source in sources:
            if isinstance(source, Threads):
                self._take(source.scope, source.over_all(), peak=False)
        self._conclude()

    async def _every_second(self, sources: Sequence[Source]) -> None:
        instant = self.window.measure_ns + _EVERY_NS
        while instant < self.window.end_ns:
            await _sleep_until(instant)
            self._read([source for source in sources if source.always], everything=False)
            instant += _EVERY_NS

    def _read(self, sources: Sequence[Source], *, everything: bool) -> None:
        for source in sources:
            key = (source.scope, source.family)
            if key in self._faults and not everything:
                continue
            try:
                self._take(source.scope, source.read())
            except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
                self._faults.setdefault(key, _reason(error))

    async def _read_pages(self, client: httpx.AsyncClient) -> None:
        async with trio.open_nursery() as nursery:
            for name, url in self.status_urls.items():
                nursery.start_soon(self._read_page, client, name, url, "nginx", nginx_status)
            for name, url in self.metrics_urls.items():
                nursery.start_soon(self._read_page, client, name, url, "app", app_metrics)

    async def _read_page(
        self, client: httpx.AsyncClient, scope: str, url: str, family: str, read: Callable[[str], Levels]
    ) -> None:
        try:
            answer = await client.get(url)
            answer.raise_for_status()
            self._take(scope, read(answer.text))
        except (httpx.HTTPError, ValueError) as error:
            self._faults.setdefault((scope, family), _reason(error))

    def _take(self, scope: str, levels: Levels, *, peak: bool = True) -> None:
        for name, level in levels.items():
            key = (scope, name)
            self._first.setdefault(key, level)
            self._last[key] = level
            if peak and level.kind == "gauge":
                self._peaks[key] = max(self._peaks.get(key, level.value), level.value)

    def _conclude(self) -> None:
        found, unreadable = [], [Unreadable(*key, reason) for key, reason in sorted(self._faults.items())]
        for (scope, name), first in sorted(self._first.items()):
            last = self._last[scope, name]
            if first.kind == "counter" and last.value < first.value:
                reason = "it went back in the window, so its owner was started again or it wrapped"
                unreadable.append(Unreadable(scope, name, reason))
                continue
            peak = self._peaks.get((scope, name))
            found.append(
                Counter(scope, name, first.unit, first.kind, first.value, last.value, peak, last.limit)
            )
        self.found, self.unreadable = tuple(found), tuple(unreadable)


def sources_for(subjects: Sequence[Subject]) -> Iterator[Source]:
    """Every source there is for what is watched."""
    yield from (Cpus(), Softnet(), Pressure(), Memory())
    watched = [subject for subject in subjects if subject.role in _WATCHED and subject.pid is not None]
    for scope, members in _namespaces(watched).items():
        pid = members[0].pid if members else None
        yield from _network(scope, pid, members)
    for subject in watched:
        yield from (Threads(subject), Files(subject), Switches(subject))
        if subject.kind == "cgroup":
            yield GroupMemory(subject)


def _network(scope: str, pid: int | None, members: Sequence[Subject]) -> Iterator[Source]:
    if scope == "net:host":
        own = Path("/proc/self").readlink()
        pid, owners = int(own.name), tuple(each for member in members for each in processes(member))
        yield Ports(scope, pid)
    else:
        owners = ()
    assert pid is not None
    yield from (Tcp(scope, pid), Conntrack(scope, pid))
    if members:
        yield Listeners(scope, pid, owners)


def _namespaces(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Every network namespace once, the runner's own first and always."""
    own = _namespace("self")
    found: dict[int | None, str] = {own: "net:host"}
    members: dict[str, list[Subject]] = {"net:host": []}
    for subject in subjects:
        namespace = _namespace(str(subject.pid))
        if namespace is None:
            continue
        scope = found.setdefault(namespace, f"net:{subject.name}")
        members.setdefault(scope, []).append(subject)
    return members


def _namespace(pid: str) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


async def _sleep_until(instant_ns: Nanoseconds) -> None:
    await trio.sleep(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S))


def _of_an_ended_process(error: Exception) -> bool:
    parts = Path(str(getattr(error, "filename", ""))).parts
    return (
        parts[:2] == ("/", "proc")
        and parts[2:3] != ()
        and parts[2].isdecimal()
        and not Path(*parts[:3]).exists()
    )


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "not permitted"
    if isinstance(error, ProcessLookupError) or _of_an_ended_process(error):
        return "its process has ended"
    if isinstance(error, FileNotFoundError):
        return "this kernel or host does not have it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, httpx.HTTPError):
        return f"its page could not be read ({type(error).__name__})"
    return "it has a form that is not known"
