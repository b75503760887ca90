"""Reads the statistics of services over a window: at both ends and once a second, each in a thread.

A service whose statistics cannot be read is listed with the reason; it never delays or ends a trial.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final, TypeVar

import trio

from runner.core.facts import Window
from runner.core.observed_facts import Counter, Unreadable
from runner.core.units import NS_PER_S, Nanoseconds, Seconds
from runner.observe.clock import sleep_until
from runner.observe.counters.level import Level, Levels
from runner.observe.counters.series import Readings, When
from runner.observe.inspect.view import (
    CONNECT_S,
    STATEMENT_S,
    CannotInspect,
    View,
    family_of,
    open_view,
)

_LONGEST_S: Final[Seconds] = CONNECT_S + STATEMENT_S + 1
"""For one use of a view; its own limits are shorter."""
_CLOSING_S: Final[Seconds] = 1.0
_HUNG: Final = f"it did not answer within {_LONGEST_S:g} s"
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Inspection:
    """The statistics of all services with a URL in one trial.

    Args:
        urls: Service to the URL of its statistics, with credentials.
        window: The trial's parts.

    Attributes:
        readable: What could be read, once `watch` has ended; the last value of a gauge is its average.
        unreadable: What could not.
    """

    urls: Mapping[str, str]
    window: Window
    readable: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    _readings: Readings = field(default_factory=Readings)
    _gauges: dict[tuple[str, str], list[Level]] = field(default_factory=lambda: defaultdict(list))

    async def watch(self) -> None:
        """Read until the window ends; never raises for what cannot be read."""
        try:
            async with trio.open_nursery() as nursery:
                for service, url in self.urls.items():
                    nursery.start_soon(self._watch, service, url)
        finally:
            self._conclude()

    def _conclude(self) -> None:
        for (service, name), levels in self._gauges.items():
            first = levels[0]
            mean = Level(fmean(level.value for level in levels), first.unit, "gauge", first.limit)
            self._readings.set_averages(service, {name: mean})
        self.readable, self.unreadable = self._readings.conclude()

    async def _watch(self, service: str, url: str) -> None:
        """Connect before the window begins, so that its first reading is in time."""
        family = family_of(url)
        try:
            view = await _in_thread(lambda: open_view(url))
            await self._read_all(service, family, view)
        except CannotInspect as error:
            self._readings.fail(service, family, str(error), When.END)
        except trio.TooSlowError:  # a thread may still use the view
            self._readings.fail(service, family, _HUNG, When.END)
        except Exception as error:  # noqa: BLE001  (nothing that is read may end a run)
            reason = f"it could not be read ({type(error).__name__})"
            self._readings.fail(service, family, reason, When.END)

    async def _read_all(self, service: str, family: str, view: View) -> None:
        try:
            for instant_ns, when in self._instants():
                if when is When.BETWEEN and time.monotonic_ns() > instant_ns + NS_PER_S:
                    continue  # the service is slow: what was missed is not read late
                await sleep_until(instant_ns)
                self._add(service, family, await _in_thread(view.read), when)
        except trio.TooSlowError:
            raise
        except BaseException:
            await _close(view)
            raise
        await _close(view)

    def _add(self, service: str, family: str, levels: Levels, when: When) -> None:
        self._readings.add(service, family, levels, when)
        for name, level in levels.items():
            if level is not None and level.kind == "gauge":
                self._gauges[service, name].append(level)

    def _instants(self) -> Iterator[tuple[Nanoseconds, When]]:
        begin, end = self.window.measure_ns, self.window.end_ns
        yield begin, When.BEGIN
        for instant_ns in range(begin + NS_PER_S, end, NS_PER_S):
            yield instant_ns, When.BETWEEN
        yield end, When.END


async def _in_thread(function: Callable[[], _Result]) -> _Result:
    with trio.fail_after(_LONGEST_S):
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


async def _close(view: View) -> None:
    with trio.move_on_after(_CLOSING_S, shield=True):
        await trio.to_thread.run_sync(view.close, abandon_on_cancel=True)
