"""One machine of several in a stage: what was observed on it, and its part of the load."""

from __future__ import annotations

from msgspec import Struct, field

from runner.core.observed_results import CounterReading, ProgramUsage, UnreadableCounter, Usage
from runner.core.result_values import Count, Number, Role, Text, Word


class NodeClock(Struct, frozen=True, omit_defaults=True):
    """How a node's clock differs from the runner's; as of `runner.core.node_facts.ClockFacts`.

    Attributes:
        offset_s: The node's clock minus the runner's, before the stage.
        error_ms: The offset is wrong by at most this much.
        drift_ms: By how much the offset changed during the stage; None if it was not measured again.
        error_after_ms: As `error_ms`, of the second measurement.
    """

    offset_s: Number
    error_ms: Number
    round_trip_ms: Number
    drift_ms: Number | None = None
    error_after_ms: Number | None = None


class NodeLoadResults(Struct, frozen=True, omit_defaults=True):
    """A node's part of the load; as of `runner.core.node_facts.NodeLoad`.

    Attributes:
        share: Of the schedule, 0 to 1.
        planned: Requests of its part due in the measured window; of scenarios, users.
        start_error_ms: Its schedule begins at most this far from the instant common to all nodes; None where
            that is not known.
        cpu_s: CPU time of its workers in the whole stage, the warm-up included.
        lost: Why it was lost, as a clause; empty for a node that was not.
        lost_at_s: Seconds since the measured window began.
        not_offered: Requests or users that were not offered, or whose end is unknown, because it was lost.
        returned: Whether it was lost before, and takes part again.
        longest_stall_s: The longest time in which one of its workers did not run; 0 where that was too short
            to matter, or is not known.
    """

    workers: Count
    share: Number
    planned: Count
    clock: NodeClock | None = None
    start_error_ms: Number | None = None
    cpu_s: Number | None = None
    ceiling_rps: Number | None = None
    scheduled: Count = 0
    lost: Text = ""
    lost_at_s: Number | None = None
    not_offered: Count = 0
    returned: bool = False
    longest_stall_s: Number = 0.0


class NodeResults(Struct, frozen=True, omit_defaults=True):
    """One machine in a stage.

    What single subjects used is in the stage's own fields, because their names are unique over all nodes.

    Attributes:
        cores: None where it is not known.
        cpu_cores: Role to CPU cores, with ``other`` and ``system``: the roles and ``other`` add up to
            ``system``, all that was used on this node. None for a role that could not be read.
        memory_mib: Role to resident memory.
        subjects: Names of what was observed on it.
        counters: Of more than 16 nodes, without those that neither rose nor had a level.
        load: None for a node that made no load.
    """

    name: Text
    cores: Count | None = None
    cpu_cores: dict[Role, Usage | None] = field(default_factory=dict)
    memory_mib: dict[Role, Usage | None] = field(default_factory=dict)
    subjects: tuple[Word, ...] = ()
    counters: tuple[CounterReading, ...] = ()
    unreadable: tuple[UnreadableCounter, ...] = ()
    programs: tuple[ProgramUsage, ...] = ()
    load: NodeLoadResults | None = None
