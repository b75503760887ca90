"""An agent's observation of its node: samples while the window lasts, and the facts at its end.

It runs in a container as an unprivileged user, with the node's procfs and sysfs mounted read-only. What they
do not show to it is listed as not readable.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
import trio

from runner.core.observed_facts import ObservedFacts, Sample, Subject, Unreadable
from runner.observe.counters.gather import Counters
from runner.observe.counters.sources import parts_of_system
from runner.observe.node.messages import ObserveOrder, decode_order, encode
from runner.observe.node.subjects import subjects_of
from runner.observe.programs.watch import Programs
from runner.observe.roots import NODE, OWN, Roots, observing
from runner.observe.sampler import take_samples

_MAX_WAITING: Final = 1_000
"""Samples that wait to be sent; further ones are lost, and a note says so."""
_IO_EVERY_S: Final = 0.5
_PROGRAMS_COST: Final = 0.002
"""With these an agent uses less than 1 % of a core."""
_NOT_PEERS: Final = "an agent may not see which process has a connection"

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
Stopped: TypeAlias = Callable[[], Awaitable[None]]


async def observe_node(
    payload: bytes | msgspec.Raw, send: Send, stopped: Stopped, roots: Roots | None = None
) -> bytes:
    """Observe this node until the window ends, or until the runner wants no more.

    Args:
        payload: An `ObserveOrder`.
        send: Called with each `Sample`.
        stopped: Returns when the runner wants no more: the facts then have the counters of that instant.
        roots: Where the node's procfs and sysfs are; None to look for them.

    Returns:
        `ObservedFacts` without samples.

    Raises:
        msgspec.ValidationError: The order is none.
    """
    order = decode_order(payload)
    with observing(roots or _roots()):
        observation = _Observation(order)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(observation.send_samples, send)
            await observation.watch(stopped)
        return encode(observation.facts())


class _Observation:
    """One observation.

    Args:
        order: What to observe.
    """

    def __init__(self, order: ObserveOrder) -> None:
        self._order = order
        self._subjects, self._missing = subjects_of(order)
        listening = {part.name: part.ports for part in order.placed if part.ports}
        self._counters = Counters(self._subjects, order.window, listening=listening, io_every_s=_IO_EVERY_S)
        self._programs = Programs(self._subjects, order.window, max_cost=_PROGRAMS_COST)
        self._sender, self._samples = trio.open_memory_channel[Sample](_MAX_WAITING)
        self._notes: tuple[str, ...] = ()
        self._lost = 0

    async def watch(self, stopped: Stopped) -> None:
        """Watch until the window ends or `stopped` returns."""
        with self._sender:  # `send_samples` ends when it has sent what waits
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_window, nursery.cancel_scope)
                await stopped()
                nursery.cancel_scope.cancel()

    async def _watch_window(self, scope: trio.CancelScope) -> None:
        order = self._order
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._counters.watch)
            nursery.start_soon(self._programs.watch)
            self._notes = await take_samples(
                self._subjects, order.window, interval=order.interval_s, on_sample=self._keep
            )
        scope.cancel()

    async def send_samples(self, send: Send) -> None:
        """Send samples as they come, until there are no more."""
        async with self._samples:
            async for sample in self._samples:
                await send(encode(sample))

    def facts(self) -> ObservedFacts:
        """Return all but the samples."""
        return ObservedFacts(
            subjects=self._subjects,
            samples=(),
            notes=(*self._notes, *self._programs.notes(), *self._losses()),
            counters=self._counters.readable,
            unreadable=(*self._counters.unreadable, *self._missing, *self._peers()),
            programs=self._programs.found({}),
        )

    def _keep(self, sample: Sample) -> None:
        try:
            self._sender.send_nowait(sample)
        except trio.WouldBlock:
            self._lost += 1

    def _losses(self) -> tuple[str, ...]:
        return (f"{self._lost:,} samples were not sent in time",) if self._lost else ()

    def _peers(self) -> tuple[Unreadable, ...]:
        parts: list[Subject] = parts_of_system(self._subjects)
        return tuple(Unreadable(part.name, "peers", _NOT_PEERS) for part in parts)


def _roots() -> Roots:
    """Return the node's mounts; those of this process where it is not in an agent's container."""
    return NODE if os.path.isdir(f"{NODE.proc}/1") else OWN  # noqa: PTH112
