"""The generator's loop for scenarios: users begin on an absolute schedule, or as soon as others end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from runner.core.endpoint import Tls
from runner.core.units import NS_PER_MS, NS_PER_US, Nanoseconds
from runner.load.exchange import Exchange
from runner.load.extensions import compiled
from runner.load.loop import Loop
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_part import request_steps
from runner.load.users import NEVER_NS
from runner.load.worker_order import WorkerOrder

_MAX_WAIT_NS: Final = 100 * NS_PER_MS
_EARLY_NS: Final = 250 * NS_PER_US
"""A timer may wake the loop this late on an idle machine: it is set earlier for the start of a user."""
_RARE_NS: Final = 5 * NS_PER_MS
"""Where starts are more frequent, being early for each of them would cost too much CPU."""


class ScenarioLoop(Loop):
    """Offers one worker's part of a stage of scenarios; an arrival is a user. See `Loop`.

    A response is read as soon as it arrives: the user's next step depends on it.
    """

    exchange: ScenarioExchange
    _started: Nanoseconds = 0

    def _make_exchange(self) -> Exchange:
        order = self._order
        if order.tls is None and not _leads_elsewhere(order):
            return scenario_exchange()(order, self._timeline)
        # plain HTTP needs no OpenSSL
        from runner.load.scenario_tls import ScenarioTlsExchange, mixed_exchange  # noqa: PLC0415

        if order.tls is not None:
            return ScenarioTlsExchange(order, self._timeline, order.tls)
        return mixed_exchange(scenario_exchange())(order, self._timeline, Tls(""))

    def run(self, start_ns: Nanoseconds, stopped: Callable[[], bool]) -> None:
        """Offer the whole stage, and wait for the users under way; see `Loop.run`."""
        self._begin(start_ns)
        self._next_due, self._next_count = self._next_bunch()
        exchange, clock = self.exchange, time.time_ns
        while True:
            now = clock()
            self._look(now)
            due = self._next_due
            if self._waiting:
                self._dispatch_waiting()
            if due is not None and due <= now:
                due, self._started = self._dispatch(due, now), now
            self._wait(min(due or NEVER_NS, exchange.follow(clock())))
            if now >= self._housekeeping and (stopped() or self._housekeep(now)):
                return

    def _housekeep(self, now: Nanoseconds) -> bool:
        """See `Loop._housekeep`; while all users pause, there is little to look after."""
        is_over = super()._housekeep(now)
        if self.exchange.in_flight and not self.exchange.requests_in_flight:
            self._housekeeping = max(self._housekeeping, now + _MAX_WAIT_NS)
        return is_over

    def _wait(self, instant: Nanoseconds) -> None:
        """Read responses; wait for one until an instant, and not beyond the current second."""
        now = time.time_ns()
        until = min(instant, self._timeline.ends_ns, self._housekeeping, now + _MAX_WAIT_NS)
        early = until - _EARLY_NS if self._is_rare_start(until) else until
        if early <= now:
            self.exchange.poll(0)
        else:
            self._arm(early)
            self.exchange.poll(0.1)

    def _is_rare_start(self, instant: Nanoseconds) -> bool:
        """Return whether a user is due then, some time after the last one."""
        return instant == self._next_due and instant - self._started >= _RARE_NS


def scenario_exchange() -> type[ScenarioExchange]:
    """Return the compiled exchange for plain HTTP; the one in Python if it is not built or out of date."""
    extension = compiled("fastcounts") and compiled("fastscenarios")
    return extension.FastScenarioExchange if extension else ScenarioExchange


def _leads_elsewhere(order: WorkerOrder) -> bool:
    """Return whether a response may lead a user to another server, which may have TLS."""
    assert order.scenarios is not None
    steps = (step for scenario in order.scenarios.scenarios for step in request_steps(scenario.steps))
    return any(step.follow or step.url for step in steps)
