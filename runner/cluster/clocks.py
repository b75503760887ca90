"""Offsets between clocks of machines, each by the shortest of several round trips.

A sends at t0, B reads its clock at t, A receives at t1. B's clock was read somewhere between both, so that
``t - (t0 + t1) / 2`` is wrong by half of the round trip at most, however long each way took.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import trio

from runner.cluster.facts import ClockOffset
from runner.cluster.messages import Leg
from runner.core.units import NS_PER_US, Nanoseconds, Seconds

FEWEST_ROUNDS: Final = 30
MOST_ROUNDS: Final = 300
SHORT_ENOUGH_NS: Final[Nanoseconds] = 120 * NS_PER_US
"""No further round trips are made once the shortest one is not longer."""

MORE_FOR_S: Final[Seconds] = 0.2
_AT_MOST_S: Final[Seconds] = 3

RoundTrip = Callable[[], Awaitable[tuple[Nanoseconds, Nanoseconds, Nanoseconds]]]
"""Makes one round trip; returns when it began, what the other clock read, and when it ended."""


def leg(sent_ns: Nanoseconds, read_ns: Nanoseconds, received_ns: Nanoseconds) -> Leg:
    """Return the offset of the other clock by one round trip.

    Args:
        sent_ns: On the asking clock.
        read_ns: On the other one.
        received_ns: On the asking clock.
    """
    return Leg(read_ns - (sent_ns + received_ns) // 2, received_ns - sent_ns)


def shortest(legs: Iterable[Leg]) -> Leg:
    """Return the leg with the shortest round trip, of at least one."""
    return min(legs, key=lambda one: one.round_trip_ns)


async def measure(round_trip: RoundTrip, more_for_s: Seconds = MORE_FOR_S) -> Leg | None:
    """Make round trips until one is short, or there were many; returns the shortest.

    Args:
        round_trip: Makes one.
        more_for_s: More than `FEWEST_ROUNDS` are made for so long only.

    Returns:
        None if there was none within three seconds, after which none is begun or waited for.
    """
    begin, best = trio.current_time(), None
    with trio.move_on_after(_AT_MOST_S):
        for number in range(MOST_ROUNDS):
            is_enough = best is not None and best.round_trip_ns <= SHORT_ENOUGH_NS
            if number >= FEWEST_ROUNDS and (is_enough or trio.current_time() > begin + more_for_s):
                break
            one = leg(*await round_trip())
            best = shortest((best, one)) if best else one
    return best


def combined(to_hub: Leg, to_agent: Leg, at_ns: Nanoseconds) -> ClockOffset:
    """Return a node's offset against the runner's clock.

    Args:
        to_hub: The hub's clock against the runner's.
        to_agent: The node's clock against the hub's.
        at_ns: When they were measured, on the runner's clock.
    """
    half_hub, half_agent = (-(-one.round_trip_ns // 2) for one in (to_hub, to_agent))
    return ClockOffset(
        offset_ns=to_hub.offset_ns + to_agent.offset_ns,
        error_ns=half_hub + half_agent,
        node_error_ns=half_agent,
        hub_offset_ns=to_hub.offset_ns,
        round_trip_ns=to_hub.round_trip_ns + to_agent.round_trip_ns,
        at_ns=at_ns,
    )
