"""Sends the requests of users and reads their responses: cookies, redirects, extracted values.

A connection belongs to the user whose request is on it. When the user ends, its idle connections go to users
who begin later, unless the specification wants each user to have its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from runner.core.load_facts import MAX_SAMPLE, ResponseSample
from runner.core.template import URL_CHARACTERS
from runner.core.units import Nanoseconds
from runner.load.captures import Reading
from runner.load.checks import header_fields
from runner.load.connection import IDLE, Ancillary, Connection
from runner.load.cookies import sets_cookies
from runner.load.exchange import Exchange
from runner.load.origins import (
    REDIRECTS,
    NotAllowed,
    Origin,
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
from runner.load.scenario_program import Send
from runner.load.scenario_user import ScenarioUser
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.user_exchange import UserExchange
from runner.load.users import NO_USER
from runner.load.worker_order import WorkerOrder

_IDEMPOTENT: Final = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")


class ScenarioExchange(UserExchange):
    """One worker's users and their requests.

    Args:
        order: As for `UserExchange`.
        timeline: Likewise.
        more: Likewise.
    """

    parts: Sequence[StepPart]

    def __init__(self, order: WorkerOrder, timeline: Timeline, *more: Any) -> None:
        super().__init__(order, timeline, *more)
        self._free = self._keep
        self._next_origin = self._origins.target
        self._places = [  # of requests that go to the same place for all users
            Place(self._home.origin, part.target) if part.target else None for part in self.parts
        ]

    def _make_parts(self, order: WorkerOrder) -> Sequence[Part]:
        return step_parts(order)

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

    def _stop(self, user: ScenarioUser, failure: str, reason: str) -> None:
        """Let a user fail; it is counted as a request of the step before, or of its first one."""
        first = next(step for step in user.operations if type(step) is Send)
        self._not_sent(user, user.part or self.parts[first.step.request], failure, reason)

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

    def _new_plain_connection(self, *args: Any, measured: bool, user: int) -> Connection:
        """Return the connection of a socket without TLS, where others have it."""
        connection = Exchange._new_connection(self, *args, measured=measured, user=user)  # noqa: SLF001  (of an ancestor)
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
            reference = quote(location.encode("latin-1"), safe=URL_CHARACTERS)
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
