"""Connections from the system under test to services, over the measured window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import Final

from runner.core.observed_facts import Peer, PeerSample
from runner.core.observed_results import PeerUsage
from runner.core.units import Seconds

_SLACK_S: Final[Seconds] = 0.25
_DIGITS: Final = 3


def peer_usages(peers: Iterable[Peer], window_s: Seconds) -> tuple[PeerUsage, ...]:
    """Return how many connections there were to each peer in the window."""
    return tuple(_usages(peers, window_s))


def _usages(peers: Iterable[Peer], window_s: Seconds) -> Iterator[PeerUsage]:
    for peer in peers:
        samples = [sample for sample in peer.samples if sample.t_s <= window_s + _SLACK_S]
        if samples:
            yield _usage(peer, samples)


def _usage(peer: Peer, samples: list[PeerSample]) -> PeerUsage:
    established = [sample.established for sample in samples]
    waiting = [sample.waiting for sample in samples if sample.waiting is not None]
    return PeerUsage(
        subject=peer.subject,
        role=peer.role,
        address=peer.address,
        port=peer.port,
        program=peer.program,
        pid=peer.pid,
        established=(min(established), round(fmean(established), _DIGITS), max(established)),
        waiting=round(fmean(waiting), _DIGITS) if len(waiting) == len(samples) else None,
        samples=len(samples),
        queued_bytes=round(fmean(sample.queued_bytes for sample in samples), _DIGITS),
        opened=peer.opened,
    )
