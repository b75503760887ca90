"""The closed model: which users are there, and what each sends next.

User *u* goes through the order of the mix from its place *u* on, so that each user sends every request in
exact shares. Its request *n* has the values of arrival ``n · most + u``, where *most* is the largest number
of users. Both thus depend neither on the number of workers nor on how fast others are served.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from runner.core.mix import Choices
from runner.core.units import NS_PER_MS, NS_PER_S, Nanoseconds, ns
from runner.load.part import Part
from runner.load.timeline import Timeline
from runner.load.worker_order import WorkerOrder

NO_USER: Final = -1
"""In place of a user's number, in the open model."""
NEVER_NS: Final = 2**62
_FIRST_PAUSE_NS: Final = 10 * NS_PER_MS
_LONGEST_PAUSE_NS: Final = NS_PER_S


class Users:
    """The users of one worker.

    Args:
        order: How many users there are, and which of them are this worker's.
        timeline: Tells when the window begins.
        parts: The requests of the mix.

    Attributes:
        active: Users with a number below this one take part at this time.
        most: The largest number of users of all workers together.
        sent: How many requests each user has sent.
        choices: The index of each arrival's request.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline, parts: Sequence[Part]) -> None:
        self.active = 0
        self.most = order.most_users
        self.sent = array("q", bytes(8 * self.most))
        self.choices = Choices([request.weight for request in order.requests])
        self._parts, self._timeline, self._order = parts, timeline, order
        self._changes = list(_changes(order))
        self._waiting: list[tuple[Nanoseconds, int]] = []
        self._pauses: dict[int, Nanoseconds] = {}

    def next_request(self, user: int) -> tuple[Part, bytes]:
        """Return the next request of a user."""
        before = self.sent[user]
        number = before * self.most + user
        self.sent[user] += 1
        part = self._parts[self.choices[before + user]]
        return part, part.content if part.render is None else part.render(number)

    def pause(self, user: int, now: Nanoseconds) -> None:
        """Let a user wait before it opens a connection again: each time twice as long, up to a second."""
        pause = self._pauses.get(user, _FIRST_PAUSE_NS)
        self._pauses[user] = min(2 * pause, _LONGEST_PAUSE_NS)
        self.resume_at(user, now + pause)

    def responded(self, user: int) -> None:
        """Forget the failures of a user whose request was responded to."""
        self._pauses.pop(user, None)

    def resume_at(self, user: int, instant: Nanoseconds) -> None:
        """Let `follow` return a user from some instant on."""
        heapq.heappush(self._waiting, (instant - self._timeline.measure_ns, user))

    def follow(self, now: Nanoseconds) -> list[int]:
        """Let users join and leave; returns those that shall send a request on a new connection."""
        elapsed = now - self._timeline.measure_ns
        begin: list[int] = []
        while self._changes and self._changes[0][0] <= elapsed:
            _, active = self._changes.pop(0)
            begin += self._mine(range(self.active, active))
            self.active = active
        while self._waiting and self._waiting[0][0] <= elapsed:
            begin.append(heapq.heappop(self._waiting)[1])
        return [user for user in begin if user < self.active]

    @property
    def next_change_ns(self) -> Nanoseconds:
        """The next instant at which `follow` has something to do."""
        coming = [heap[0][0] for heap in (self._changes, self._waiting) if heap]
        return self._timeline.measure_ns + min(coming) if coming else NEVER_NS

    def _mine(self, users: range) -> Iterable[int]:
        return [user for user in users if user % self._order.workers == self._order.worker]


def _changes(order: WorkerOrder) -> Iterator[tuple[Nanoseconds, int]]:
    """Yield when the number of users changes, in nanoseconds after the window's begin, and its new value.

    In a ramp, the number is the linear function of time, rounded to the nearest whole number.
    """
    yield -ns(order.warmup), order.users
    last = order.users if order.users_to is None else order.users_to
    step = 1 if last > order.users else -1
    for count in range(order.users + step, last + step, step) if last != order.users else ():
        share = (abs(count - order.users) - 0.5) / abs(last - order.users)
        yield round(share * order.duration * NS_PER_S), count
