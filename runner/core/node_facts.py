"""What each of several nodes offered in a trial, and how well its clock was known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from runner.core.units import Nanoseconds, PerSecond, Seconds

_Offset: TypeAlias = Annotated[Nanoseconds, Meta(ge=-(9 * 10**18), le=9 * 10**18)]
_Span: TypeAlias = Annotated[Nanoseconds, Meta(ge=0, le=10**15)]
_NODES_SHOWN: Final = 3
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]


class ClockFacts(Struct, frozen=True, omit_defaults=True):
    """How a node's CLOCK_MONOTONIC differs from the runner's, as measured before the stage.

    Attributes:
        offset_ns: The node's clock minus the runner's.
        error_ns: The offset is wrong by at most this much: half of the shortest round trips.
        round_trip_ns: The shortest round trips between runner and node.
        drift_ns: The offset measured again after the stage, minus `offset_ns`; None if it was
            not measured.
        error_after_ns: As `error_ns`, of the second measurement.
    """

    offset_ns: _Offset
    error_ns: _Span
    round_trip_ns: _Span
    drift_ns: _Offset | None = None
    error_after_ns: _Span | None = None


class NodeLoad(Struct, frozen=True, omit_defaults=True):
    """One node's part of a stage's load.

    Attributes:
        node: Its name.
        workers: Worker processes on it.
        share: Its share of the schedule, 0 to 1.
        planned: Requests of its part due in the measured window; users of scenarios likewise; 0 in the closed
            model.
        clock: None where the offset is not known.
        start_error_ns: At most this far from the common instant the node's schedule begins: the error of its
            offset, and the drift until the stage's end; None where that is not known.
        cpu_s: CPU time of its workers in the whole stage; None where it is not known.
        ceiling_rps: What it can offer at most, against a no-op server on the node itself; None where it
            was not measured.
        scheduled: Requests or users of `planned` that came due while it could be heard.
        lost: Why it was lost, as a clause: ``silent for 3 s``; empty for a node that was not.
        lost_at_s: When it was noticed, in seconds since the measured window began.
        not_offered: Requests or users of `planned` that were not offered, or whose end is unknown, because
            the node was lost.
        returned: Whether it was lost before this stage, and takes part again with a new agent.
        longest_stall_s: The longest time in which one of its workers did not run; as of the whole load.
    """

    node: str
    workers: int
    share: float
    planned: _Count
    clock: ClockFacts | None = None
    start_error_ns: _Span | None = None
    cpu_s: Seconds | None = None
    ceiling_rps: PerSecond | None = None
    scheduled: _Count = 0
    lost: Annotated[str, Meta(max_length=1000)] = ""
    lost_at_s: Seconds | None = None
    not_offered: _Count = 0
    returned: bool = False
    longest_stall_s: Annotated[Seconds, Meta(ge=0)] = 0.0


class Loss(Struct, frozen=True):
    """What was lost with nodes that were lost for the same reason, such as their common hub.

    Attributes:
        sentence: Which nodes, why, and what that left out; without a full stop.
        at_s: When the first one was noticed, in seconds since the measured window began.
    """

    sentence: str
    at_s: Seconds | None


def losses(nodes: Iterable[NodeLoad], what: str) -> tuple[Loss, ...]:
    """Return what nodes were lost, one sentence for each reason, in the order of time.

    Args:
        nodes: Of a stage; those that are not lost are left out.
        what: Is offered: ``requests`` or ``users``.
    """
    by_reason: dict[str, list[NodeLoad]] = {}
    for node in sorted(nodes, key=lambda node: node.lost_at_s or 0.0):
        if node.lost:
            by_reason.setdefault(node.lost, []).append(node)
    return tuple(_loss(reason, lost, what) for reason, lost in by_reason.items())


def _loss(reason: str, lost: Sequence[NodeLoad], what: str) -> Loss:
    names = sorted(node.node for node in lost)
    where = ", ".join(names[:_NODES_SHOWN])
    if len(names) > _NODES_SHOWN:
        where += f" and {len(names) - _NODES_SHOWN} more"
    missing = f"{sum(node.not_offered for node in lost):,} {what} not offered or without a known end"
    return Loss(f"generator lost on {where}: {reason}; {missing}", lost[0].lost_at_s)
