"""Turns what nodes' workers and clocks reported into facts about each node's part of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.cluster.facts import ClockOffset
from runner.core.node_facts import ClockFacts, NodeLoad
from runner.core.units import Nanoseconds, PerSecond, Seconds
from runner.load.worker_accounts import Account
from runner.load.worker_losses import longest_stall_s


def clock_facts(
    before: ClockOffset, after: ClockOffset | None, start_ns: Nanoseconds
) -> tuple[ClockFacts, Nanoseconds]:
    """Return how well a node's clock was known, and how far from the common instant it started at most.

    The way from the runner to the hub is common to all nodes, so it is left out of drift and start error.

    Args:
        before: Measured before the stage.
        after: Measured after it; None if that was impossible.
        start_ns: When the schedule began, on this machine's clock.
    """
    drift_ns = None
    start_error_ns = before.node_error_ns
    if after is not None:
        drift_ns = (after.offset_ns - after.hub_offset_ns) - (before.offset_ns - before.hub_offset_ns)
        elapsed_ns = max(1, after.at_ns - before.at_ns)
        start_error_ns += abs(drift_ns) * max(0, start_ns - before.at_ns) // elapsed_ns
    facts = ClockFacts(
        offset_ns=before.offset_ns,
        error_ns=before.error_ns,
        round_trip_ns=before.round_trip_ns,
        drift_ns=drift_ns,
        error_after_ns=after.error_ns if after else None,
    )
    return facts, start_error_ns


def node_loads(
    nodes: Sequence[str],
    accounts: Sequence[Account],
    clocks: Mapping[str, tuple[ClockFacts, Nanoseconds]],
    ceilings: Mapping[str, PerSecond],
    lost: Mapping[str, tuple[str, Seconds]],
) -> tuple[NodeLoad, ...]:
    """Return the part of each node, in the order of its first worker.

    Args:
        nodes: Of each worker.
        accounts: Of each worker.
        clocks: Node to what `clock_facts` returned.
        ceilings: Node to its ceiling, where it was measured.
        lost: Node to why it was lost, and when after the measured window began.
    """
    return tuple(
        _node_load(
            node,
            [account for name, account in zip(nodes, accounts, strict=True) if name == node],
            len(accounts),
            clocks.get(node),
            ceilings.get(node),
            lost.get(node),
        )
        for node in dict.fromkeys(nodes)
    )


def _node_load(
    node: str,
    accounts: Sequence[Account],
    workers: int,
    clock: tuple[ClockFacts, Nanoseconds] | None,
    ceiling_rps: PerSecond | None,
    lost: tuple[str, Seconds] | None,
) -> NodeLoad:
    due = [account.due for account in accounts]
    missing = [planned - ended for planned, ended, _ in due]
    return NodeLoad(
        node=node,
        workers=len(accounts),
        share=len(accounts) / workers,
        planned=sum(account.planned for account in accounts),
        clock=clock[0] if clock else None,
        start_error_ns=clock[1] if clock else None,
        cpu_s=round(sum(account.cpu_s for account in accounts), 6),
        ceiling_rps=ceiling_rps,
        scheduled=sum(
            account.users_scheduled if account.has_users else account.scheduled for account in accounts
        ),
        lost=lost[0] if lost else "",
        lost_at_s=lost[1] if lost else None,
        not_offered=max(0, sum(missing)) if lost else 0,
        longest_stall_s=longest_stall_s(accounts),
    )
