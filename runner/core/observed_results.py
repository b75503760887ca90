"""What was observed around the requests of a stage."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from runner.core.result_values import Count, Number, Role, Text, Unit, Word


class Usage(Struct, frozen=True):
    """Mean of a resource over the measured window, and its highest mean over any `peak_window`, if known."""

    avg: Number
    peak: Number | None


class SubjectUsage(Struct, frozen=True):
    """CPU cores that one process, container or service used, None where it could not be read."""

    role: Role
    cpu: Usage | None


class ThrottlingShare(Struct, frozen=True):
    """What a CPU quota cost a subject in the window; fields as of `runner.core.observed_facts.Throttling`."""

    periods: Count
    throttled: Count
    waited_s: Number = 0.0


class CounterReading(Struct, frozen=True):
    """A counter at both ends of the window; as of `runner.core.observed_facts.Counter`.

    Attributes:
        delta: None for a level.
        from_s: With `to_s`, the seconds that the increase covers, where these are not the window's.
    """

    scope: Text
    name: Text
    unit: Unit
    kind: Literal["counter", "gauge"]
    before: Number
    after: Number
    peak: Number | None
    limit: Number | None
    delta: Number | None
    from_s: Number | UnsetType = UNSET
    to_s: Number | UnsetType = UNSET


class ProgramUsage(Struct, frozen=True, omit_defaults=True):
    """A program outside the experiment; fields as of `runner.core.observed_facts.Program`."""

    name: Text
    pids: tuple[Count, ...]
    cores: Number
    busiest_thread: Number | None = None
    serves: bool = False
    port: Count | None = None


class PeerUsage(Struct, frozen=True, omit_defaults=True):
    """Connections from one subject to a program that serves it, over the measured window.

    Attributes:
        subject: Name of the subject that opened them.
        role: Role of the peer: a service's name; empty if it is not part of the stack.
        address: Numeric address, or the path of a Unix socket.
        port: 0 for a Unix socket.
        program: Name of the peer's process; empty where it is not known.
        established: Fewest, average and most connections at an instant.
        waiting: Average number of them on which a request was under way; None where the kernel does not tell,
            as of Unix sockets.
        queued_bytes: Average of bytes in send and receive queues.
        opened: Connections opened in the window, as far as they were seen.
        samples: How many instants these numbers are from.
    """

    subject: Word
    role: Text
    address: Text
    port: Count
    program: Text
    pid: Count | None
    established: tuple[Count, Number, Count]
    waiting: Number | None
    samples: Count
    queued_bytes: Number = 0.0
    opened: Count = 0


class UnreadableCounter(Struct, frozen=True):
    """A counter, or a family of them, that could not be read, and why."""

    scope: Text
    name: Text
    reason: Text


class Moment(Struct, frozen=True):
    """One second of a stage; CPU in cores.

    Attributes:
        t_s: Seconds from the start of the measured window to the end of this second; <= 0 in the warm-up.
        p95_ms: 95th percentile of the response time.
        errors: Requests that failed or were dropped.
        users: Of scenarios: users under way at the end of the second; absent without scenarios.
        memory_mib: Resident memory by role, last seen in the second; absent in the warm-up and where it was
            not measured.
    """

    t_s: Number
    rps: Count | None
    p95_ms: Number | None
    errors: Count = 0
    in_flight: Count = 0
    cpu_app: Number | None = None
    cpu_system: Number | None = None
    users: Count | UnsetType = UNSET
    memory_mib: dict[Role, Number] | UnsetType = UNSET


class SpacingError(Struct, frozen=True):
    """Gaps between requests at their receiver, in µs; as of `runner.core.calibration_facts.Spacing`."""

    planned_gap_us: Number
    median_gap_us: Number
    error_p50_us: Number
    error_p99_us: Number


class StageCalibration(Struct, frozen=True):
    """The generator against a server that does nothing, at the stage's rate or the nearest one measured.

    Attributes:
        ceiling_rps: The highest rate that the generator could offer; None where it was not measured.
        achieved: Successful responses ÷ planned requests; None where nothing was measured at this rate.
        duration_ms: ``p50``, ``p95``, ``p99``, as `dispatch_delay_ms` has; empty where nothing was measured.
        cpu_us_per_request: CPU time of all workers.
        spacing_us: None where gaps could not be paired with planned ones.
        measured_at_rps: The rate of the baseline, where it is not the stage's.
    """

    made_at: Text
    engine: Word
    connection: Word
    workers: Count
    ceiling_rps: Number | None
    above_ceiling: bool
    achieved: Number | None
    duration_ms: dict[Word, Number]
    dispatch_delay_ms: dict[Word, Number]
    cpu_us_per_request: Number | None
    spacing_us: SpacingError | None
    measured_at_rps: Number | UnsetType = UNSET


class StageEvent(Struct, frozen=True):
    """Something that happened in a stage and is not a request; as of `runner.core.facts.Event`."""

    code: Word
    message: Text
    t_s: Number | None
    log: tuple[Text, ...]
    node: Text | UnsetType = UNSET
