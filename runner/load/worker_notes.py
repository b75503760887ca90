"""What a reader of the numbers should know of the workers: their clocks, connections and memory, in words."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runner.core.units import NS_PER_MS, NS_PER_US, Nanoseconds
from runner.load.messages import WorkerEnd
from runner.load.worker_accounts import Account, connections

_SYN_AGAIN_NS: Final[Nanoseconds] = 950_000_000
"""The kernel sends a SYN again after 1 s; a connect time that contains it says nothing about clocks."""
_REPORTED_CLOCK_SHIFT_NS: Final = 1_000_000
_SHOWN_FAULTS: Final = 8
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


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


def _local_ports() -> str:
    try:
        low, high = map(int, _PORT_RANGE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return "the host's"
    return f"{high - low + 1:,}"
