"""Lets users begin, go through the steps of their scenarios, and end: the half that knows no HTTP.

A response only marks its user; `_go_on` continues it when all responses that have arrived are read. So no
socket is opened while events of an earlier one with the same number may still be pending.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from runner.core.load_facts import UNFINISHED
from runner.core.mix import Choices
from runner.core.units import Nanoseconds
from runner.load.backlog import Backlog
from runner.load.connection import IDLE, Connection
from runner.load.exchange import Exchange
from runner.load.origins import Origin, Origins, Place
from runner.load.scenario_program import End, Jump, Pause, Send, program
from runner.load.scenario_user import NO_SLOT, ScenarioUser
from runner.load.timeline import Timeline
from runner.load.users import NEVER_NS, NO_USER, Users
from runner.load.walk import CannotGoOn
from runner.load.worker_order import WorkerOrder

AT_ONCE: Final = 1000
"""How many operations a user executes before others have their turn."""


class UserExchange(Exchange):
    """One worker's users. `in_flight` counts users here.

    Args:
        order: As for `Exchange`, with scenarios.
        timeline: Likewise.
        more: What another kind of exchange takes.

    Attributes:
        slots: Which users there are at a time in the closed model; None in the open one.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline, *more: Any) -> None:
        super().__init__(order, timeline, *more)
        assert order.scenarios is not None
        scenarios = order.scenarios.scenarios
        self.slots, self.users = self.users, None
        self._origins = Origins(order)
        self._home = Place(self._origins.target, "/")
        self._per_user, self._first = order.scenarios.per_user, order.scenarios.first
        self._programs = [program(scenario.steps) for scenario in scenarios]
        self._choices = Choices([scenario.weight for scenario in scenarios])
        self._next_key = order.worker
        self._under_way = [0] * len(scenarios)
        self._backlogs = [Backlog(order) for _ in scenarios]
        self._by_key: dict[int, ScenarioUser] = {}
        self._over: deque[ScenarioUser] = deque()
        self._pauses: list[tuple[Nanoseconds, int]] = []
        self._free_slots: deque[int] = deque()
        self._pool: defaultdict[Origin, list[Connection]] = defaultdict(list)

    @property
    def requests_in_flight(self) -> int:
        """See `Exchange`; users are in flight while they pause as well."""
        return self.in_flight - len(self._pauses)

    @property
    def users_in_flight(self) -> Sequence[int]:
        """See `Exchange`."""
        return self._under_way

    def backlogs(self) -> list[Backlog]:
        """Return how the durations of the scenarios developed."""
        return self._backlogs

    def send_due(self, due: Nanoseconds, count: int, measured: bool) -> None:
        """Let users begin who are due together."""
        for _ in range(count):
            key = self._take_key()
            self._start(key, self._choices[key], due, measured, NO_SLOT)
        self._go_on()

    def drop_due(self, count: int, measured: bool) -> None:
        """Pass over users who are due and cannot begin."""
        tallies = self._timeline.current.scenarios
        for _ in range(count):
            scenario = self._choices[self._take_key()]
            if measured:
                tallies[scenario].scheduled += 1
                tallies[scenario].dropped += 1

    def _take_key(self) -> int:
        key = self._next_key
        self._next_key += self._order.workers
        return key

    def begin_slots(self, slots: Iterable[int]) -> None:
        """Let the next users of some slots begin, as long as the stage lasts (closed model)."""
        users = self.slots
        assert users is not None
        for slot in slots:
            now = time.time_ns()
            if slot < users.active and now < self._timeline.end_ns:
                before = users.sent[slot]
                users.sent[slot] += 1
                measured = now >= self._timeline.measure_ns
                self._start(before * users.most + slot, self._choices[before + slot], now, measured, slot)
        self._go_on()

    def follow(self, now: Nanoseconds) -> Nanoseconds:
        """Let users go on whose pauses have ended, and slots begin; returns when there is more to do."""
        if self.slots is not None:
            again, self._free_slots = self._free_slots, deque()
            self.begin_slots([*again, *self.slots.follow(now)])
        pauses, measure_ns = self._pauses, self._timeline.measure_ns
        ended = []  # who pauses again at once has its next turn after everybody else's
        while pauses and pauses[0][0] <= now - measure_ns:
            ended.append(heapq.heappop(pauses))
        for end, key in ended:
            user = self._by_key[key]
            user.ready = user.done = end + measure_ns
            self._advance(user)
        self._go_on()
        if self._free_slots and now < self._timeline.end_ns:
            return now
        next_pause = pauses[0][0] + measure_ns if pauses else NEVER_NS
        return min(next_pause, self.slots.next_change_ns) if self.slots else next_pause

    def _start(self, key: int, scenario: int, due: Nanoseconds, measured: bool, slot: int) -> None:
        """Let a user begin."""
        self.in_flight += 1
        self._under_way[scenario] += 1
        user = ScenarioUser(
            key,
            self._first + key,
            scenario,
            self._programs[scenario],
            self._home,
            due,
            measured=measured,
            slot=slot,
        )
        self._by_key[key] = user
        if measured:
            tally = self._timeline.current.scenarios[scenario]
            tally.scheduled += 1
            tally.sent += 1
            if self.slots is None:
                tally.dispatch_delay.add(time.time_ns() - due)
        self._advance(user)

    def _advance(self, user: ScenarioUser) -> None:
        """Execute a user's steps until it waits for a response or a pause, or its scenario ends."""
        try:
            self._execute(user)
        except CannotGoOn as stop:
            self._stop(user, stop.failure, str(stop))

    def _execute(self, user: ScenarioUser) -> None:
        operations = user.operations
        for _ in range(AT_ONCE):
            operation = operations[user.at]
            user.executed += 1
            if type(operation) is Send:
                user.count_step()
                user.at += 1
                self._send_step(user, operation)
                return
            if type(operation) is Pause:
                user.count_step()
                self._entered(user, operation)
                user.at += 1
                self._pause(user, user.ready + operation.length_ns(user))
                return
            if type(operation) is End:
                self._end(user, "")
                return
            assert isinstance(operation, Jump)
            self._entered(user, operation)
            user.at = operation.follow(user)
        user.check_operations()
        self._pause(user, user.ready)

    def _entered(self, user: ScenarioUser, operation: Pause | Jump) -> None:
        """A user is about to execute an operation other than a request."""

    def _pause(self, user: ScenarioUser, until: Nanoseconds) -> None:
        heapq.heappush(self._pauses, (until - self._timeline.measure_ns, user.key))

    def _go_on(self) -> None:
        """Let users go on whose requests have ended."""
        ended = self._over
        while ended:
            user = ended.popleft()
            self.in_flight += 1  # who ended a request was taken off
            self._answered(user)
            if user.cut_off or user.failure:
                self._end(user, UNFINISHED if user.cut_off else user.failure)
            elif user.redirect is not None:
                self._follow_redirect(user, user.redirect)
            else:
                user.ready = user.done
                self._advance(user)

    def _answered(self, user: ScenarioUser) -> None:
        """A user's request has ended, with a response or without one."""

    def _end(self, user: ScenarioUser, failure: str) -> None:
        """Count a user whose scenario has ended, and let its connections go."""
        timeline, done = self._timeline, user.done
        self.in_flight -= 1
        self._under_way[user.scenario] -= 1
        del self._by_key[user.key]
        second = timeline.current if timeline.begins_ns <= done < timeline.ends_ns else timeline.at(done)
        tally = second.scenarios[user.scenario]
        duration, after = done - user.due, user.due - timeline.measure_ns
        backlog = self._backlogs[user.scenario]
        if not failure:
            tally.completed += 1
            if user.measured:
                tally.succeeded += 1
                tally.response_time.add(duration)
                backlog.succeeded(after, duration, done - timeline.end_ns)
        elif user.measured:
            tally.failures[failure] += 1
            backlog.ended(after, duration)
        for origin, connection in user.connections.items():
            if self._per_user:
                self._close(connection)
            elif connection.state == IDLE:
                connection.user = NO_USER
                self._pool[origin].append(connection)
        if self.slots is not None:
            self._free_slot(self.slots, user)

    def _free_slot(self, slots: Users, user: ScenarioUser) -> None:
        """Let the next user of a slot begin: at once, or after a while if there was no response at all."""
        if user.failure and not user.responded:
            slots.pause(user.slot, time.time_ns())
        else:
            slots.responded(user.slot)
            self._free_slots.append(user.slot)

    def end_overdue(self, now: Nanoseconds) -> None:
        """See `Exchange.end_overdue`; a while after the window's end, users who are under way are cut off."""
        limit = self._timeline.end_ns + self._timeout_ns
        if self.requests_in_flight or self._lingering:  # thousands who pause need not be looked at
            super().end_overdue(min(now, limit))  # a late look does not turn who is cut off into who failed
            self._go_on()
        if now >= limit and self._by_key:
            self._cut_off(now)

    def _cut_off(self, now: Nanoseconds) -> None:
        """End all users; their requests under way count as timed out."""
        self._pauses.clear()
        for user in list(self._by_key.values()):
            user.cut_off = True
            if user.connection is not None:
                self._fail(user.connection, "timeout")
            else:
                user.done = now
                self._end(user, UNFINISHED)
        self._go_on()

    def _send_step(self, user: ScenarioUser, operation: Send) -> None:
        """Send the request of a step."""
        raise NotImplementedError

    def _stop(self, user: ScenarioUser, failure: str, reason: str) -> None:
        """Let a user fail at a step that is no request, or is one too many."""
        raise NotImplementedError

    def _follow_redirect(self, user: ScenarioUser, place: Place) -> None:
        """Send the next request of a step whose response was a redirect."""
        raise NotImplementedError
