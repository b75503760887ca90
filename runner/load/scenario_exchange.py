"""Lets users go through scenarios: `Exchange` with connections that belong to users, cookies and redirects.

A response only marks its user; `_go_on` continues it when all responses that have arrived are read. So no
socket is opened while events of an earlier one with the same number may still be pending.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from runner.core.load_facts import MAX_SAMPLE, UNFINISHED, ResponseSample
from runner.core.mix import Choices
from runner.core.units import Nanoseconds
from runner.load.backlog import Backlog
from runner.load.captures import Reading
from runner.load.checks import header_fields
from runner.load.connection import IDLE, Ancillary, Connection
from runner.load.cookies import sets_cookies
from runner.load.exchange import Exchange
from runner.load.origins import (
    REDIRECTS,
    NotAllowed,
    Origin,
    Origins,
    Place,
    readdressed,
    target_of,
    with_cookies,
    with_more_cookies,
)
from runner.load.part import Part
from runner.load.response_parser import Response
from runner.load.response_sample import MAX_SAMPLES
from runner.load.scenario_part import CannotRender, StepPart, step_parts
from runner.load.scenario_program import End, Jump, Pause, Send, program
from runner.load.scenario_user import NO_SLOT, ScenarioUser
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.users import NEVER_NS, NO_USER, Users
from runner.load.worker_order import WorkerOrder

_AT_ONCE: Final = 1000
"""How many operations a user executes before others have their turn."""
_IDEMPOTENT: Final = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")


class ScenarioExchange(Exchange):
    """One worker's users and their requests. `in_flight` counts users here.

    Args:
        order: As for `Exchange`, with scenarios.
        timeline: Likewise.
        more: What another kind of exchange takes.
    """

    parts: Sequence[StepPart]

    def __init__(self, order: WorkerOrder, timeline: Timeline, *more: Any) -> None:
        super().__init__(order, timeline, *more)
        assert order.scenarios is not None
        scenarios = order.scenarios.scenarios
        self.slots, self.users = self.users, None
        self._free = self._keep
        self._origins = Origins(order)
        self._home = Place(self._origins.target, "/")
        self._places = [  # of requests that are the same for all users
            None if part.render else Place(self._home.origin, target_of(part.content)) for part in self.parts
        ]
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
        self._next_origin = self._origins.target

    def _make_parts(self, order: WorkerOrder) -> Sequence[Part]:
        return step_parts(order)

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

    # -- users

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
        while pauses and pauses[0][0] <= now - measure_ns:
            end, key = heapq.heappop(pauses)
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
        operations = user.operations
        for _ in range(_AT_ONCE):
            operation = operations[user.at]
            user.executed += 1
            if type(operation) is Send:
                user.at += 1
                self._send_step(user, operation)
                return
            if type(operation) is Pause:
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
        if self.requests_in_flight or self._lingering:  # thousands who pause need not be looked at
            super().end_overdue(now)
            self._go_on()
        if now >= self._timeline.end_ns + self._timeout_ns and self._by_key:
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

    # -- requests

    def _send_step(self, user: ScenarioUser, operation: Send) -> None:
        """Send the request of a step."""
        step = operation.step
        part = user.part = self.parts[step.request]
        user.hops = step.follow
        try:
            content = part.content if part.render is None else part.render(user)  # type: ignore[arg-type]
            if step.url:
                place = self._origins.resolve(target_of(content), user.place)
                content = readdressed(content, place, same_origin=place.origin is self._home.origin)
            else:
                place = self._places[step.request] or Place(self._home.origin, target_of(content))
        except CannotRender as error:
            self._not_sent(user, part, "extract_failed", f"{error} for the request {step.name}")
        except NotAllowed as error:
            self._not_sent(user, part, "bad_redirect", f"the URL of {step.name} cannot be requested: {error}")
        else:
            user.place, user.content = place, content
            self._dispatch(user, part, content)

    def _follow_redirect(self, user: ScenarioUser, place: Place) -> None:
        """Send the next request of a step whose response was a redirect."""
        assert user.part is not None
        user.redirect = None
        same = place.origin is user.place.origin
        user.content = readdressed(user.content, place, same_origin=same, status=user.status)
        user.place, user.ready = place, user.done
        user.hops -= 1
        self._dispatch(user, user.part, user.content)

    def _not_sent(self, user: ScenarioUser, part: StepPart, failure: str, reason: str) -> None:
        """Count a request that cannot be made of what the user has."""
        self._count_taken_up(user, part, time.time_ns())
        user.reason = reason
        if user.measured:
            self._sample_without_response(part, failure, reason)
        self._count_failure(part, user.ready, user.measured, failure, user.key)

    def _sample_without_response(self, part: StepPart, failure: str, reason: str) -> None:
        kind = (part.index, failure, 0)
        if kind not in self._sampled and len(self._sampled) < MAX_SAMPLES:
            self._sampled.add(kind)
            sample = ResponseSample(failure, failed_checks=reason[:MAX_SAMPLE])
            self._timeline.current.parts[part.index].samples.append(sample)

    def _dispatch(self, user: ScenarioUser, part: StepPart, content: bytes) -> None:
        """Send a request, on the user's own connection if it has one."""
        origin = user.place.origin
        if user.jar:
            now = time.time_ns()
            cookies = user.jar.header(origin.host, user.place.path, secure=origin.secure, now_ns=now)
            content = (with_more_cookies if part.step.own_cookies else with_cookies)(content, cookies)
        started = time.time_ns()
        self._count_taken_up(user, part, started)
        connection = user.connections.pop(origin, None) or self._from_pool(origin)
        if connection is None or connection.state != IDLE:
            self._connect(part, content, user.ready, started, user.measured, user.key)
            return
        user.connection = connection
        connection.user = user.key
        connection.due, connection.started, connection.measured = user.ready, started, user.measured
        self._send_on(connection, part, content)
        if self._resends:
            self._resend()

    def _count_taken_up(self, user: ScenarioUser, part: StepPart, started: Nanoseconds) -> None:
        user.failure = user.reason = ""
        user.responded = False
        if user.measured:
            tally = self._timeline.current.parts[part.index]
            tally.scheduled += 1
            tally.sent += 1
            if self.slots is None:
                tally.dispatch_delay.add(started - user.ready)

    def _from_pool(self, origin: Origin) -> Connection | None:
        """Return a connection that an earlier user left open."""
        pool = self._pool.get(origin)
        while pool:
            connection = pool.pop()
            if connection.state == IDLE:
                return connection
        return None

    def _connect(
        self,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        measured: bool,
        user: int = NO_USER,
    ) -> None:
        self._next_origin = self._by_key[user].place.origin
        super()._connect(part, content, due, started, measured, user)

    def _address(self) -> tuple[int, tuple[str | int, ...]]:
        return self._next_origin.family, self._next_origin.address

    def _new_connection(self, *args: Any, measured: bool, user: int) -> Connection:
        connection = super()._new_connection(*args, measured=measured, user=user)
        self._by_key[user].connection = connection
        return connection

    def _reconnect(self) -> None:
        self._returning.clear()
        self._resend()

    def _may_resend(self, connection: Connection) -> bool:
        """See `Exchange`; a redirect may have changed the method."""
        return connection.content.startswith(_IDEMPOTENT)

    # -- responses

    def poll(self, patience: float) -> None:
        """See `Exchange.poll`; lets the users go on whose requests have ended."""
        super().poll(patience)
        self._go_on()

    def _count_usual(self, connection: Connection, count: int, ancillary: Ancillary) -> Nanoseconds:
        stamp = super()._count_usual(connection, count, ancillary)
        if stamp:
            user = self._by_key[connection.user]
            user.done, user.connection = stamp, None
            self._over.append(user)
        return stamp

    def _new_response(self, part: Part) -> Response:
        assert isinstance(part, StepPart)
        return Response(head_only=part.head_only, keep=True, keep_body=part.keeps_body)

    def _failure(self, connection: Connection, status: int, head: bytes, body: bytes | bytearray) -> str:
        """Read the cookies of a response, where it leads, and its values; returns the kind of failure."""
        user, part = self._by_key[connection.user], connection.part
        assert isinstance(part, StepPart)
        user.status = status
        now = time.time_ns()
        if sets_cookies(head):
            user.jar.store(head, user.place.origin.host, user.place.path, now)
        if part.step.follow and status in REDIRECTS:
            user.redirect, user.reason = self._redirect(user, head)
            return "bad_redirect" if user.redirect is None else ""
        failure = part.failure(status, head, body)
        if not failure and part.captures:
            user.reason = part.captures.take(user, Reading(head, body, user.jar, now))
            failure = "extract_failed" if user.reason else ""
        return failure

    def _redirect(self, user: ScenarioUser, head: bytes) -> tuple[Place | None, str]:
        """Return where a redirect leads, or why it cannot be followed."""
        location = header_fields(head).get("location")
        if location is None:
            return None, "the redirect has no Location"
        if not user.hops:
            return None, "there are more redirects than follow_redirects allows"
        try:
            reference = quote(location.encode("latin-1"), safe="%:/?#[]@!$&'()*+,;=-._~")
            return self._origins.resolve(reference, user.place), ""
        except NotAllowed as error:
            return None, f"the redirect cannot be followed: {error}"

    def _complete(
        self,
        connection: Connection,
        status: int,
        first: Nanoseconds,
        done: Nanoseconds,
        failure: str,
        keep: bool,
        mask: int,
    ) -> None:
        user = self._by_key[connection.user]
        if done - connection.started > self._timeout_ns:
            failure = "timeout"
        user.done, user.failure, user.responded = done, failure, True
        super()._complete(connection, status, first, done, failure, keep, mask)
        user.connection = None
        self._over.append(user)

    def _keep(self, connection: Connection) -> None:
        """Leave a connection to its user."""
        user = self._by_key[connection.user]
        user.connections[user.place.origin] = connection

    def _count_success(
        self,
        tally: Tally,
        connection: Connection,
        started: Nanoseconds,
        first: Nanoseconds,
        done: Nanoseconds,
    ) -> None:
        tally.succeeded += 1
        if first == done:
            tally.whole.add(done - started)
        else:
            tally.duration.add(done - started)
            tally.first_byte.add(first - started)
        if self.slots is None:
            tally.response_time.add(done - connection.due)

    def _count_failure(
        self,
        part: Part,
        due: Nanoseconds,  # noqa: ARG002  (what grows in scenarios is their duration)
        measured: bool,
        failure: str,
        user: int,
    ) -> None:
        now = time.time_ns()
        if measured:
            self._timeline.current.parts[part.index].failures[failure] += 1
        self.in_flight -= 1
        self.freed_ns = now
        ended = self._by_key[user]
        ended.done, ended.failure, ended.connection = now, failure, None
        self._over.append(ended)

    def _describe(self, tally: Tally, connection: Connection, failure: str, status: int) -> None:
        before = len(tally.samples)
        super()._describe(tally, connection, failure, status)
        reason = self._by_key[connection.user].reason
        if reason and len(tally.samples) > before:
            tally.samples[-1] = replace(tally.samples[-1], failed_checks=reason[:MAX_SAMPLE])
