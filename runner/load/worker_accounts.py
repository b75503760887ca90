"""Turns the workers' last messages into facts about the stage.

Every planned request ends in exactly one count, including those of a worker that died before it counted them.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from runner.cluster.heartbeat import AGENT_WAS_SILENT
from runner.core.load_facts import Backlog, ConnectionCounts, DropCauses, LoadSecond, PartFacts
from runner.core.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds, Seconds
from runner.load.merge import sum_of
from runner.load.messages import WireBacklog, WorkerEnd, WorkerSecond

_REPORTED_STALL_NS: Final = 500_000_000
_SYN_AGAIN_NS: Final[Nanoseconds] = 950_000_000
"""The kernel sends a SYN again after 1 s; a connect time that contains it says nothing about clocks."""
_REPORTED_CLOCK_SHIFT_NS: Final = 1_000_000
_SHOWN_FAULTS: Final = 8
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


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


def losses(accounts: Sequence[Account]) -> tuple[str, ...]:
    """Return one sentence for each worker that died, hung or did not run for a while, with the effect."""
    return tuple(sentence for account in accounts if (sentence := _loss(account)))


def _loss(account: Account) -> str:
    due, ended, what = account.due
    if account.end is None:
        return (
            f"{account.name} {_ending(account)} after {account.seconds} s; "
            f"{due - ended:,} of its {due:,} {what} are lost"
        )
    stall_ns = account.end.longest_stall_ns
    if stall_ns < _REPORTED_STALL_NS:
        return ""
    late = min(due, round(stall_ns / NS_PER_S * due / max(1, account.seconds)))
    return (
        f"{account.name} did not run for {stall_ns / NS_PER_S:.1f} s; about {late:,} of its {due:,} "
        f"{what} were {'sent' if what == 'requests' else 'started'} late or dropped"
    )


def _ending(account: Account) -> str:
    status = account.status
    if account.fault:
        return account.fault
    if not account.died or status is None:
        return "stopped responding"
    if status == AGENT_WAS_SILENT:
        return "stopped because its agent or the hub was silent"
    return f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"


def longest_stall_s(accounts: Sequence[Account]) -> Seconds:
    """Return the longest time in which a worker did not run; 0 if it was too short to be reported."""
    longest_ns = max((account.end.longest_stall_ns for account in accounts if account.end), default=0)
    return round(longest_ns / NS_PER_S, 3) if longest_ns >= _REPORTED_STALL_NS else 0.0


def drop_causes(accounts: Sequence[Account]) -> DropCauses:
    """Return how many requests, or users of scenarios, were dropped although there was room for them."""
    dead = [account for account in accounts if account.end is None]
    due = [account.users_scheduled if account.has_users else account.scheduled for account in dead]
    ended = [account.users_ended if account.has_users else account.ended for account in dead]
    return DropCauses(
        too_late=sum(account.end.too_late for account in accounts if account.end),
        not_offered=sum(max(0, one.planned - came) for one, came in zip(dead, due, strict=True)),
        unknown_end=max(0, sum(due) - sum(ended)),
    )


def with_lost(
    seconds: Sequence[LoadSecond], accounts: Sequence[Account], length: Seconds
) -> list[LoadSecond]:
    """Count the lost requests of dead workers as dropped.

    These are requests that were never sent, and requests that were under way and whose end is unknown.
    The latter are taken back from `sent`, from the last second backwards.
    """
    dead = [account for account in accounts if account.end is None]
    unsent = sum(max(0, account.planned - account.scheduled) for account in dead)
    unknown = sum(account.scheduled - account.ended for account in dead)
    corrected = with_unknown(seconds, unknown)
    if unsent:
        index = seconds[-1].index + 1 if seconds else math.ceil(length)
        corrected.append(LoadSecond(index, scheduled=unsent, dropped=unsent))
    return corrected


def with_unknown(seconds: Sequence[LoadSecond], unknown: int) -> list[LoadSecond]:
    """Count some of what was sent as dropped, from the last second backwards."""
    corrected: list[LoadSecond] = []
    for second in reversed(seconds):
        here = min(second.sent, unknown)
        unknown -= here
        corrected.append(replace(second, sent=second.sent - here, dropped=second.dropped + here))
    corrected.reverse()
    return corrected


def with_lost_parts(seconds: Sequence[LoadSecond], parts: Mapping[str, PartFacts]) -> tuple[LoadSecond, ...]:
    """Count what dead workers lost of each request of a mix as dropped, in the last second."""
    lost = {name: part.planned - _ended(seconds, name) for name, part in parts.items()}
    if not seconds or not any(count > 0 for count in lost.values()):
        return tuple(seconds)
    last = seconds[-1]
    after = {
        name: replace(
            part, scheduled=part.scheduled + max(0, lost[name]), dropped=part.dropped + max(0, lost[name])
        )
        for name in lost
        for part in (last.parts.get(name, LoadSecond(last.index)),)
    }
    return (*seconds[:-1], replace(last, parts=after))


def _ended(seconds: Sequence[LoadSecond], name: str) -> int:
    own = [second.parts[name] for second in seconds if name in second.parts]
    return sum(part.succeeded + part.dropped + sum(part.failures.values()) for part in own)


def clock(accounts: Sequence[Account]) -> str:
    """Return which clock timestamped what, and how our connect times compare with the kernel's."""
    ends = [account.end for account in accounts if account.end]
    unstamped = sum(end.unstamped for end in ends)
    text = "the kernel timestamps responses when they arrive (SO_TIMESTAMPNS)"
    if unstamped:
        text += f", except {unstamped:,} reads without a timestamp, which the generator timestamped"
    text += "; everything else is read from CLOCK_REALTIME"
    return text + _compared([pair for end in ends for pair in end.handshakes])


def _compared(handshakes: Sequence[tuple[Nanoseconds, Nanoseconds]]) -> str:
    """Return how connect times compare with the kernel's round-trip times; those with a second SYN cannot."""
    pairs = [(ours, kernels) for ours, kernels in handshakes if ours - kernels < _SYN_AGAIN_NS]
    text = ""
    if pairs:
        excess_us = statistics.median(ours - kernels for ours, kernels in pairs) / NS_PER_US
        kernel_us = statistics.median(kernels for _, kernels in pairs) / NS_PER_US
        text = (
            f"; connect times differ by {excess_us:+,.0f} µs from the kernel's round-trip time (TCP_INFO, "
            f"{kernel_us:,.0f} µs), {_of_connections(len(pairs))}"
        )
    if again := len(handshakes) - len(pairs):
        text += (
            f"; the connect times of {again:,} of {len(handshakes):,} connections are not compared, because "
            "they are 1 s longer or more, as when a SYN was sent again"
        )
    return text


def _of_connections(count: int) -> str:
    return "of one connection" if count == 1 else f"medians of {count:,} connections"


def notes(accounts: Sequence[Account]) -> tuple[str, ...]:
    """Return what else a reader of the numbers should know."""
    sentences = list(dict.fromkeys(note for account in accounts for note in account.notes))
    ends = [account.end for account in accounts if account.end]
    shift_ns = max((end.clock_shift_ns for end in ends), default=0)
    if shift_ns >= _REPORTED_CLOCK_SHIFT_NS:
        sentences.append(
            f"the wall clock was adjusted by {shift_ns / NS_PER_MS:,.1f} ms during the stage; "
            "latencies may be off by that much"
        )
    sentences += _connection_notes(accounts)
    sentences += _faults(ends)
    if closed := sum(end.closed_first for end in ends):
        sentences.append(
            f"the generator had to close {closed:,} connections that the server left open; "
            f"each may occupy one of {_local_ports()} local ports for up to 60 s"
        )
    if ends:
        peak = max(end.peak_rss_kib for end in ends) / 1024
        sentences.append(f"a generator worker used at most {peak:.0f} MiB of memory")
    return tuple(dict.fromkeys(sentences))


def connections(accounts: Sequence[Account]) -> ConnectionCounts | None:
    """Return how many connections were opened and closed; None if no worker told."""
    ends = [account.end for account in accounts if account.end]
    if not ends:
        return None
    return ConnectionCounts(sum(end.opened for end in ends), sum(end.closed_by_server for end in ends))


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


def _connection_notes(accounts: Sequence[Account]) -> list[str]:
    """Return how connections were used, and what happened to requests that met closed ones."""
    ends = [account.end for account in accounts if account.end]
    counts = connections(accounts)
    sentences = []
    if counts and counts.opened:
        closed = f"; the server closed {counts.closed_by_server:,}" if counts.closed_by_server else ""
        sentences.append(f"TCP connections opened, the warm-up included: {counts.opened:,}{closed}")
    if resent := sum(end.resent for end in ends):
        sentences.append(
            f"{resent:,} requests found their keep-alive connection closed by the server and were sent "
            "again on a new one; their time counts from the first attempt"
        )
    if stale := sum(end.stale for end in ends):
        sentences.append(
            f"{stale:,} requests found their keep-alive connection closed by the server before they arrived; "
            "they failed and were not sent again, because their method is not idempotent. The server's "
            "keep-alive timeout is shorter than the time between two requests on a connection: raise it, or "
            "set load.connection to new"
        )
    return sentences


def _faults(ends: Sequence[WorkerEnd]) -> list[str]:
    """Return why responses counted as `protocol` could not be understood."""
    faults: Counter[str] = Counter()
    for end in ends:
        faults.update(end.faults)
    if not faults:
        return []
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in faults.most_common(_SHOWN_FAULTS))
    return [f"{faults.total():,} protocol failures: {reasons}"]


def _local_ports() -> str:
    try:
        low, high = map(int, _PORT_RANGE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return "the host's"
    return f"{high - low + 1:,}"
