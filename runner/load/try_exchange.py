"""`ScenarioExchange` that records what its user sends and receives, for `runner try`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from runner.core.units import NS_PER_MS, NS_PER_S, Nanoseconds
from runner.load.checks import decoded, header_fields
from runner.load.connection import Connection
from runner.load.cookie_problems import cookie_problems
from runner.load.part import Part
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_order import ChooseStep, ForEachStep, ProbabilityStep, RepeatStep
from runner.load.scenario_part import StepHeads
from runner.load.scenario_program import Branch, Choose, ForEach, If, Jump, Operation, Pause, Repeat
from runner.load.scenario_tls import ScenarioTlsExchange
from runner.load.scenario_user import ScenarioUser
from runner.load.timeline import Timeline
from runner.load.tls_exchange import TlsConnection
from runner.load.try_records import MAX_RECORDED, Entered, Exchanged, Finished, TryRecord
from runner.load.users import NO_USER
from runner.load.walk import Walk
from runner.load.worker_order import WorkerOrder


class Recording(ScenarioExchange):
    """Records the requests and steps of one user at a time.

    Args:
        order: As for `ScenarioExchange`.
        timeline: Likewise.
        more: Likewise.
        record: Called with every record.
        pauses: Whether the user waits in pauses.
        alternative: Which alternative of each choice is taken, from 0; the last one where there are fewer.
    """

    def __init__(
        self,
        order: WorkerOrder,
        timeline: Timeline,
        *more: Any,
        record: Callable[[TryRecord], None],
        pauses: bool,
        alternative: int = 0,
    ) -> None:
        super().__init__(order, timeline, *more)
        for operations in self._programs:
            operations[:] = [_not_random(operation, alternative) for operation in operations]
        self._record, self._waits = record, pauses
        self._content = self._head = self._body = b""
        self._redirected = False
        self._duration_ns = -1

    def _make_parts(self, order: WorkerOrder) -> Sequence[Part]:
        """Return parts of which every response is read completely."""
        parts = super()._make_parts(order)
        for part in parts:
            part.heads = StepHeads(head_only=part.head_only, plain=())
            part.keeps_body = True  # type: ignore[attr-defined]  # all of them are step parts
        return parts

    # -- requests

    def _send_on(self, connection: Connection, part: Part, content: bytes) -> None:
        self._content = content
        super()._send_on(connection, part, content)

    def _connect(
        self,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        measured: bool,
        user: int = NO_USER,
    ) -> None:
        self._content = content
        super()._connect(part, content, due, started, measured, user)

    def _failure(self, connection: Connection, status: int, head: bytes, body: bytes | bytearray) -> str:
        self._head, self._body = bytes(head), bytes(body)
        return super()._failure(connection, status, head, body)

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
        ready = connection.ready if isinstance(connection, TlsConnection) else connection.connected
        self._duration_ns = done - (connection.started if connection.reused else ready)
        super()._complete(connection, status, first, done, failure, keep, mask)

    def _answered(self, user: ScenarioUser) -> None:
        """Record a request that has ended."""
        part = user.part
        assert part is not None
        is_followed = user.redirect is not None
        names = [] if is_followed else [extract.name for extract in part.step.extracts]
        has_values = user.failure in {"", "extract_failed"}
        body = self._readable_body()
        self._record(
            Exchanged(
                part=part.index,
                step=part.step.name,
                url=f"{user.place.origin.url.removesuffix('/')}{user.place.target}" if self._content else "",
                request=self._content[:MAX_RECORDED],
                request_bytes=len(self._content),
                is_redirected=self._redirected,
                status=user.status if self._head else 0,
                head=self._head[:MAX_RECORDED],
                body=body[:MAX_RECORDED],
                body_bytes=len(body),
                failure=user.failure,
                reason=user.reason,
                values={name: user.values[name] for name in names if has_values and name in user.values},
                cookie_problems=tuple(cookie_problems(self._head, user.place, time.time_ns())),
                duration_ns=max(self._duration_ns, -1),
            )
        )
        self._redirected = is_followed
        self._content = self._head = self._body = b""
        self._duration_ns = -1

    def _readable_body(self) -> bytes:
        """Return the body without its content coding, as far as that can be undone."""
        if self._head:
            with suppress(ValueError):
                return decoded(self._body, header_fields(self._head).get("content-encoding", ""))
        return self._body

    # -- steps

    def _entered(self, user: ScenarioUser, operation: Pause | Jump) -> None:
        if text := self._described(user, operation):
            self._record(Entered(text))

    def _described(self, user: ScenarioUser, operation: Pause | Jump) -> str:
        """Return what a step other than a request does; empty for jumps that are no step of their own."""
        text = ""
        match operation:
            case Pause():
                pause_ns = operation.length_ns(user)
                text = f"pause {_time(pause_ns)}{'' if self._waits else ', left out'}"
            case If():
                text = f"if: {'holds' if operation.follow(user) == user.at + 1 else 'does not hold'}"
            case _Taken():
                text = "probability: tried in any case"
            case _Chosen():
                text = f"choose: alternative {operation.alternative + 1} of {len(operation.places)}"
            case Repeat(step=RepeatStep() as step):
                text = f"repeat: {'up to ' if step.until else ''}{step.times} times"
            case ForEach(step=ForEachStep() as step):
                entries = user.values.get(step.items)
                text = f"for_each: {len(entries) if isinstance(entries, list) else 0} entries"
        return text

    def _pause(self, user: ScenarioUser, until: Nanoseconds) -> None:
        super()._pause(user, until if self._waits else user.ready)

    def _end(self, user: ScenarioUser, failure: str) -> None:
        super()._end(user, failure)
        self._record(Finished(failure))

    def _cut_off(self, now: Nanoseconds) -> None:
        """Let users finish: there is no window that ends."""


class RecordingTls(Recording, ScenarioTlsExchange):
    """`Recording` over HTTPS."""


class _Taken(Branch):
    """A branch that is always gone through."""

    __slots__ = ()

    def follow(self, walk: Walk) -> int:
        """See `Jump.follow`."""
        return walk.at + 1


class _Chosen(Choose):
    """A choice that is made already."""

    __slots__ = ("alternative",)

    def __init__(self, step: ChooseStep, places: list[int], alternative: int) -> None:
        super().__init__(step)
        self.places, self.alternative = places, min(alternative, len(places) - 1)

    def follow(self, walk: Walk) -> int:  # noqa: ARG002  (the same for all users)
        """See `Jump.follow`."""
        return self.places[self.alternative]


def _not_random(operation: Operation, alternative: int) -> Operation:
    """Return an operation that decides nothing at random."""
    if isinstance(operation, Branch) and isinstance(operation.step, ProbabilityStep):
        taken = _Taken(operation.step)
        taken.to = operation.to
        return taken
    if isinstance(operation, Choose) and isinstance(operation.step, ChooseStep):
        return _Chosen(operation.step, operation.places, alternative)
    return operation


def _time(length_ns: Nanoseconds) -> str:
    return f"{length_ns / NS_PER_S:.3g} s" if length_ns >= NS_PER_S else f"{length_ns / NS_PER_MS:.3g} ms"
