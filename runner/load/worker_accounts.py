"""What the workers said at their end, made into facts about the stage.

Every planned request ends in exactly one count, also those of a worker that did not live to count them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from runner.core.facts import LoadSecond
from runner.core.units import NS_PER_S, Seconds

_STALL_WORTH_SAYING_NS: Final = 500_000_000
_CLOCK_SHIFT_WORTH_SAYING_NS: Final = 1_000_000
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(slots=True)
class Account:
    """One worker's part of the stage, as far as it was reported.

    Attributes:
        name: Such as ``generator worker 1``.
        planned: Its requests due in the measured window.
        scheduled: Those that came due.
        ended: Those that ended in some count.
        seconds: Seconds reported.
        notes: What it said when it was ready.
        ending: Its last line; None for a worker that died or hung.
        died: It ended without a last line.
        status: Its exit status, negative for a signal; None while unknown.
    """

    name: str
    planned: int
    notes: Sequence[str] = ()
    scheduled: int = 0
    ended: int = 0
    seconds: int = 0
    ending: dict[str, Any] | None = field(default=None, repr=False)
    died: bool = False
    status: int | None = None

    def take(self, line: dict[str, Any]) -> None:
        """Count one reported second."""
        self.seconds += 1
        self.scheduled += line["scheduled"]
        self.ended += line["succeeded"] + line["dropped"] + sum(line["failures"].values())


def losses(accounts: Sequence[Account]) -> tuple[str, ...]:
    """One sentence per worker that died, hung or stood still, with what it cost."""
    return tuple(sentence for account in accounts if (sentence := _loss(account)))


def _loss(account: Account) -> str:
    planned = f"{account.planned:,}"
    if account.ending is None:
        cost = account.planned - account.ended
        status = account.status
        how = "stopped answering"
        if account.died and status is not None:
            how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{account.name} {how} after {account.seconds} s; {cost:,} of its {planned} requests are lost"
    stall_ns = account.ending["longest_stall_ns"]
    if stall_ns < _STALL_WORTH_SAYING_NS:
        return ""
    late = min(account.planned, round(stall_ns / NS_PER_S * account.planned / max(1, account.seconds)))
    return (
        f"{account.name} stood still for {stall_ns / NS_PER_S:.1f} s; about {late:,} of its {planned} "
        "requests were sent late or dropped"
    )


def with_lost(
    seconds: Sequence[LoadSecond], accounts: Sequence[Account], length: Seconds
) -> list[LoadSecond]:
    """Count as dropped what died with its worker.

    That is what was never sent, and what was under way: sent, but nobody knows how it ended. The latter
    is taken back from `sent`, from the last second backwards.
    """
    dead = [account for account in accounts if account.ending is None]
    unsent = sum(account.planned - account.scheduled for account in dead)
    unknown = sum(account.scheduled - account.ended for account in dead)
    found: list[LoadSecond] = []
    for second in reversed(seconds):
        here = min(second.sent, unknown)
        unknown -= here
        found.append(replace(second, sent=second.sent - here, dropped=second.dropped + here))
    found.reverse()
    if unsent:
        index = seconds[-1].index + 1 if seconds else math.ceil(length)
        found.append(LoadSecond(index, scheduled=unsent, dropped=unsent))
    return found


def clock(accounts: Sequence[Account]) -> str:
    """Which clock stamped what, and how our connect times compare with the kernel's."""
    endings = [account.ending for account in accounts if account.ending]
    unstamped = sum(ending["unstamped"] for ending in endings)
    pairs = [pair for ending in endings for pair in ending["handshakes"]]
    words = "answers by the kernel's receive stamps (SO_TIMESTAMPNS)"
    if unstamped:
        words += f" but for {unstamped:,} reads that had none and were stamped by the generator"
    words += ", all else by CLOCK_REALTIME"
    if pairs:
        excess_us = statistics.median(ours - kernels for ours, kernels in pairs) / 1e3
        kernel_us = statistics.median(kernels for _, kernels in pairs) / 1e3
        words += (
            f"; connect times are {excess_us:+.0f} µs against the kernel's own round-trip time (TCP_INFO, "
            f"{kernel_us:.0f} µs), medians of {len(pairs):,} connections"
        )
    return words


def notes(accounts: Sequence[Account]) -> tuple[str, ...]:
    """Anything else a reader of the numbers should know."""
    found = list(dict.fromkeys(note for account in accounts for note in account.notes))
    endings = [account.ending for account in accounts if account.ending]
    shift_ns = max((ending["clock_shift_ns"] for ending in endings), default=0)
    if shift_ns >= _CLOCK_SHIFT_WORTH_SAYING_NS:
        found.append(
            f"the wall clock was moved by {shift_ns / 1e6:,.1f} ms in the stage; latencies may be off by that"
        )
    if resent := sum(ending["resent"] for ending in endings):
        found.append(
            f"{resent:,} requests met a kept connection that the server had closed, and were sent "
            "again on a new one; their time counts from the first attempt"
        )
    if closed := sum(ending["closed_first"] for ending in endings):
        found.append(
            f"{closed:,} connections had to be closed by the generator, because the server left them open; "
            f"each may keep one of {_local_ports()} local ports for up to 60 s"
        )
    if endings:
        peak = max(ending["peak_rss_kib"] for ending in endings) / 1024
        found.append(f"a generator worker used at most {peak:.0f} MiB of memory")
    return tuple(dict.fromkeys(found))


def _local_ports() -> str:
    try:
        low, high = map(int, _PORT_RANGE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return "the host's"
    return f"{high - low + 1:,}"
