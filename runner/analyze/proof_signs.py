"""What the blocks of a counter-experiment show beside their throughput."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median_low
from typing import Final, NamedTuple

from runner.analyze.rules.cpu_bounds import THROTTLED, throttled_shares
from runner.analyze.rules.registry import RULES
from runner.analyze.validity import GENERATOR_SATURATED
from runner.core.codes import Cause, Confidence, Limit, Role, StageStatus, Validity
from runner.core.stage_results import Stage, Verdict
from runner.experiment.changes import Change

RELIEVED: Final = 0.5
"""A p95 response time that falls to this share of itself shows that a queue is gone; our own bound."""


class Sides(NamedTuple):
    """The usable blocks of a counter-experiment in the order in which they ran.

    Attributes:
        before: Without the change.
        after: With the change.
    """

    before: tuple[Stage, ...]
    after: tuple[Stage, ...]


def is_usable(block: Stage) -> bool:
    """Return whether a block ran to its end, is valid, and has a throughput."""
    is_valid = block.status is StageStatus.COMPLETE and block.validity.status is not Validity.INVALID
    return is_valid and block.actual_rps is not None


def median_block(blocks: Sequence[Stage]) -> Stage | None:
    """Return the block whose throughput is the median; of an even number, the lower one."""
    rate = median_low([block.actual_rps or 0.0 for block in blocks]) if blocks else None
    return next((block for block in blocks if block.actual_rps == rate), None)


def all_sustained(blocks: Sequence[Stage]) -> bool:
    """Return whether there are blocks, and all of them sustained their rate."""
    return bool(blocks) and all(block.verdict.code is Limit.WITHIN_CAPACITY for block in blocks)


def new_limit(stage: Stage, sides: Sides) -> Verdict | None:
    """Return the verdict of the changed blocks if it names another limit than any that showed before."""
    shown = median_block(sides.after)
    if shown is None or shown.verdict.confidence is Confidence.HINT:
        return None
    if shown.verdict.code in {Limit.UNDETERMINED, Limit.WITHIN_CAPACITY, Limit.GENERATOR}:
        return None
    before = {
        (finding.code, finding.service) for one in (stage, *sides.before) for finding in one.verdict.findings
    }
    first = shown.verdict.findings[0] if shown.verdict.findings else None
    is_new = first is not None and (first.code, first.service) not in before
    return shown.verdict if is_new else None


def enlarged_what_was_used_up(stage: Stage, sides: Sides, change: Change) -> bool:
    """Return whether what was observed shows that a change enlarged the very thing that was used up.

    A larger pool shows in the app's connections; else the option was not its size. A larger CPU limit of a
    service matters only where the limit throttled it.
    """
    if change.cause is Cause.POOL:
        before, after = (_most_connections(side) for side in sides)
        return after > before
    if change.cause is Cause.SERVICE_CPU:
        return any(_is_throttled(block, stage.verdict.service) for block in sides.before)
    return True


def _most_connections(blocks: Sequence[Stage]) -> int:
    return max((peer.established[2] for block in blocks for peer in block.peers), default=0)


def _is_throttled(block: Stage, service: str | None) -> bool:
    return max(throttled_shares(block, service or "").values(), default=0.0) > THROTTLED


def saturated_role(limit: Limit) -> Role | None:
    """Return the role whose CPU is saturated at a limit."""
    rule = RULES.get(limit)
    return rule.saturated_role if rule else None


def is_consistent(stage: Stage, sides: Sides) -> bool:
    """Return False if a CPU limit was lifted without cheaper requests or more CPU: it was another limit."""
    role = saturated_role(stage.verdict.code)
    if role is None:
        return True
    cost_before, cost_after = (_mean_cost(side, role) for side in sides)
    used_before, used_after = (_mean_cores(side, role) for side in sides)
    if cost_before is None or used_before is None:
        return True
    cheaper = cost_after is None or cost_after < cost_before * 0.97
    return cheaper or (used_after is not None and used_after > used_before * 1.03)


def _mean_cost(blocks: Sequence[Stage], role: Role) -> float | None:
    known = [cost for block in blocks if (cost := block.cpu_us_per_request.get(role)) is not None]
    return fmean(known) if known else None


def _mean_cores(blocks: Sequence[Stage], role: Role) -> float | None:
    known = [usage.avg for block in blocks if (usage := block.cpu_cores.get(role)) is not None]
    return fmean(known) if known else None


def relieved_p95(sides: Sides) -> tuple[float, float] | None:
    """Return the p95 response times of blocks just short of their target whose queue the change took away."""
    if not all_sustained(sides.after) or all_sustained(sides.before):
        return None
    before, after = (
        [p95 for block in side if (p95 := block.response_time_ms.p95) is not None] for side in sides
    )
    if not before or not after or max(after) > min(before) * RELIEVED:
        return None
    return min(before), max(after)


def generator_is_saturated(stage: Stage) -> bool:
    """Return whether the generator may have been the limit, so that a change that relieves it proves nothing.

    A limit of CPU rests on its own counter, whatever the generator did.
    """
    usage, limit = stage.cpu_cores.get(Role.GENERATOR), stage.verdict.code
    if limit is Limit.GENERATOR or saturated_role(limit) or stage.engine != "builtin":
        return False
    return bool(usage and stage.workers and usage.avg >= GENERATOR_SATURATED * stage.workers)
