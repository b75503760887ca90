"""What each worker reported of its part of a stage, and what all their reports add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.core.load_facts import Backlog, ConnectionCounts, LoadSecond, PartFacts
from runner.core.units import NS_PER_S, Seconds
from runner.load.merge import sum_of
from runner.load.messages import WireBacklog, WorkerEnd, WorkerSecond


@dataclass(slots=True)
class Account:
    """One worker's part of the stage, as far as it was reported.

    Attributes:
        name: Such as ``generator worker 1``.
        planned: Its requests due in the measured window, or users of scenarios; 0 in the closed model.
        scheduled: Requests that came due.
        ended: Those that ended in some count.
        users_scheduled: Users of scenarios who came due.
        users_ended: Those that ended in some count.
        seconds: Number of seconds reported.
        cpu_s: CPU time of the worker so far.
        notes: From its first message.
        end: Its last message; None for a worker that died or hung.
        has_users: Whether its arrivals are users of scenarios.
        fault: Why it sent no last message, where that is known; such as ``sent an unreadable message``.
        died: It ended without a last message.
        is_out_of_reach: Its node was lost, so that nothing more is known of it.
        status: Its exit status, negative for a signal; None while unknown.
    """

    name: str
    planned: int
    notes: Sequence[str] = ()
    scheduled: int = 0
    ended: int = 0
    users_scheduled: int = 0
    users_ended: int = 0
    seconds: int = 0
    cpu_s: Seconds = 0.0
    end: WorkerEnd | None = field(default=None, repr=False)
    has_users: bool = False
    fault: str = ""
    died: bool = False
    is_out_of_reach: bool = False
    status: int | None = None

    def add(self, second: WorkerSecond) -> None:
        """Count one reported second."""
        self.seconds += 1
        self.cpu_s += second.cpu_s
        self.scheduled += second.scheduled
        self.ended += _ended_in(second)
        self.users_scheduled += sum(one.scheduled for one in second.scenarios)
        self.users_ended += sum(map(_ended_in, second.scenarios))

    @property
    def due(self) -> tuple[int, int, str]:
        """How many requests or users were due in the window, how many of them ended, and what they are."""
        if self.has_users:
            return max(self.planned, self.users_scheduled), self.users_ended, "users"
        return self.planned or self.scheduled, self.ended, "requests"


def _ended_in(second: WorkerSecond) -> int:
    return second.succeeded + second.dropped + sum(second.failures.values())


def connections(accounts: Sequence[Account]) -> ConnectionCounts | None:
    """Return how many connections were opened and closed; None if no worker told."""
    ends = [account.end for account in accounts if account.end]
    if not ends:
        return None
    return ConnectionCounts(
        sum(end.opened for end in ends),
        sum(end.closed_by_server for end in ends),
        sum(end.unasked for end in ends),
    )


def backlog(accounts: Sequence[Account]) -> Backlog | None:
    """Return how response times of all requests developed; None if no worker told."""
    return merged_backlog([part for account in accounts if account.end for part in account.end.backlog])


def parts(
    accounts: Sequence[Account], seconds: Sequence[LoadSecond], shares: Mapping[str, float]
) -> dict[str, PartFacts]:
    """Return what is known of each request of a mix.

    Args:
        accounts: Of all workers.
        seconds: Of the stage.
        shares: Name of a request to its share of all, in the order of the specification.
    """
    ends = [account.end for account in accounts if account.end]
    planned = sum(account.planned for account in accounts)
    return {
        name: PartFacts(
            planned=_scheduled(seconds, name) if len(ends) == len(accounts) else round(planned * share),
            share=share,
            backlog=merged_backlog([end.backlog[index] for end in ends if end.backlog]),
        )
        for index, (name, share) in enumerate(shares.items())
    }


def _scheduled(seconds: Sequence[LoadSecond], name: str) -> int:
    return sum(second.parts[name].scheduled for second in seconds if name in second.parts)


def merged_backlog(reported: Sequence[WireBacklog]) -> Backlog | None:
    """Return how response times developed, from what workers or parts report; None without any."""
    if not reported:
        return None
    late = sum_of(part.late for part in reported)
    n, *sums = (sum(column) for column in zip(*(part.sums for part in reported), strict=True))
    known = [part.fastest_first_ns for part in reported if part.fastest_first_ns >= 0]
    fastest_ns = min(known) if known else min(part.first for part in reported)[1]
    x, y, xx, xy, yy = sums
    beginning_s = reported[0].beginning_ns / NS_PER_S
    return Backlog(beginning_s, fastest_ns / NS_PER_S, late, (int(n), x, y, xx, xy, yy))
