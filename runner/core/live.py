"""What a run tells while it is in progress, one record a line; for those who watch it, never for analysis.

The records lie in a file in the run's folder until its results do. The page of a run in progress, the metrics
that Prometheus reads during a run and those pushed to a collector are all made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from runner.core.facts import TrialStatus
from runner.core.live_ends import P95, PartEnds, ScenariosEnd
from runner.core.units import Bytes, Milliseconds, PerSecond, Seconds

MAX_LINE: Final[Bytes] = 64 * 1024
MAX_NOTE: Final = 500
MAX_REASON: Final = 4000
MAX_NOTES: Final = 20
"""How many notes the end of a trial has, at most."""

LoadModel: TypeAlias = Literal["open", "closed", "scenarios"]
RunStatus: TypeAlias = Literal["complete", "aborted", "failed"]
_Name: TypeAlias = Annotated[str, Meta(max_length=1000)]
_Note: TypeAlias = Annotated[str, Meta(max_length=MAX_NOTE)]
_Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON)]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
_Number: TypeAlias = Annotated[int, Meta(ge=0, le=10**6)]
_Length: TypeAlias = Annotated[Seconds, Meta(ge=0, le=10**7)]
_Time: TypeAlias = Annotated[Seconds, Meta(ge=0, le=10**11)]
_Counts: TypeAlias = Mapping[_Name, _Count]


class PlannedTrial(Struct, frozen=True, omit_defaults=True):
    """A trial of the plan; a search is one, at its highest rate.

    Attributes:
        number: Its place in the run, from 1.
        stage: Name of the stage.
        level: What it offers, such as ``4,000 RPS``; of a search, at most.
        search: Whether it stands for all probes of a search.
        orders: How many places in the run it needs at most: 1, or the most probes of a search.
        detail: What tells it from the other trials of its stage, such as ``repeat 2``; else empty.
    """

    number: _Number
    configuration: _Name
    stage: _Name
    level: _Name
    warmup_s: _Length
    duration_s: _Length
    search: bool = False
    orders: _Number = 1
    detail: _Name = ""


class RunBegins(Struct, frozen=True, omit_defaults=True, tag="run"):
    """The first record.

    Attributes:
        started_at: UTC, ISO 8601 with seconds; of a resumed run, when it first began.
        pid: The runner's process, as its own namespace numbers it.
        process_started: Its start time in clock ticks since boot.
        boot_id: Tells this boot of this machine from all others.
        pid_namespace: Tells the namespace of `pid` from the others of this boot.
        trials: The plan, in order; of a very long one, its beginning.
        total: How many places the plan has, as `TrialBegins.total`.
        resumed: Whether an earlier part of it was interrupted; the records of its trials follow.
        processors: Of the runner's machine; 0 where that is not known.
    """

    experiment: _Name
    run_id: _Name
    started_at: _Name
    pid: _Number
    process_started: _Count
    boot_id: _Name
    pid_namespace: _Count
    trials: tuple[PlannedTrial, ...]
    total: _Number = 0
    resumed: bool = False
    processors: _Number = 0


class TrialsPlanned(Struct, frozen=True, omit_defaults=True, tag="planned"):
    """Counter-experiments are added to the plan.

    Attributes:
        total: As `RunBegins.total`, with them.
    """

    at_s: _Time
    trials: tuple[PlannedTrial, ...]
    total: _Number = 0


class TrialBegins(Struct, frozen=True, omit_defaults=True, tag="trial"):
    """A trial begins on a stack that is ready.

    Attributes:
        at_s: Unix time.
        number: Its place in the run, from 1; of a search, each probe has one of its own.
        total: How many places the run has at most.
        title: As people read it, such as ``one · find 400 RPS, repeat 2``.
        stage: Name of the stage; of a probe, its own, such as ``find 400 RPS``.
        model: ``closed`` has users who wait for their responses, and no target rate; ``scenarios`` may be
            either.
        search: Whether it is a probe of a search.
        change: Of a block of a counter-experiment: the change that it tests, in words; else empty.
        is_changed: Whether this block has the change; its neighbours have the system as specified.
        proves: Place of the trial whose verdict the counter-experiment is about; 0 without one.
    """

    at_s: _Time
    number: _Number
    total: _Number
    title: _Name
    configuration: _Name
    stage: _Name
    warmup_s: _Length
    duration_s: _Length
    model: LoadModel
    repeat: _Number = 1
    search: bool = False
    change: _Name = ""
    is_changed: bool = False
    proves: _Number = 0


class PartSecond(Struct, frozen=True, omit_defaults=True):
    """One request of a mix in a second; fields as in `Second`."""

    rps: PerSecond
    offered: _Count = 0
    succeeded: _Count = 0
    p95_ms: Milliseconds | None = None
    failures: _Counts = field(default_factory=dict)


class Second(Struct, frozen=True, omit_defaults=True, tag="second"):
    """One second of load, merged from all workers and machines.

    Attributes:
        at_s: Unix time.
        t_s: The end of the second, since the start of the measured window; at most 0 in the warm-up, beyond
            the window's length while late responses arrive.
        target_rps: Requests due per second in the middle of it; None where there is no such schedule.
        target_users_per_s: Users due per second likewise.
        rps: Successful responses in the second, those of the warm-up included.
        offered: Requests that came due in the second; 0 in the warm-up, where nothing is counted.
        succeeded: Of the requests due in the window: those that ended well in this second.
        p50_ms: Of the response times of `succeeded` (durations in the closed model); None without any.
        failures: Kind to count, of this second; ``dropped`` are those never sent.
        in_flight: Requests under way at its end; None of an engine that does not tell.
        users: Users under way at its end; None without scenarios.
        scenarios_per_s: Scenarios completed in the second; None without scenarios.
        scenarios_completed: Of those due in the window: scenarios that came to their end in this second.
        scenario_failures: Kind to count of those that did not, likewise.
        scenario_p95_ms: Of the durations of `scenarios_completed`.
        machines: Of how many machines `cores` is the sum.
        cores: Role to CPU seconds ÷ seconds, over about the last second, of all machines; a name of
            `Role` or of a service. ``other`` is what they used beyond all of them.
        memory_bytes: Role to resident memory.
        parts: Of a mix: name of a request to its part. A very large mix has none.
        seconds: How many it stands for: 1, except where those of a long stage were put together.
    """

    at_s: _Time
    t_s: Seconds
    rps: PerSecond
    target_rps: PerSecond | None = None
    target_users_per_s: PerSecond | None = None
    offered: _Count = 0
    succeeded: _Count = 0
    p50_ms: Milliseconds | None = None
    p95_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None
    failures: _Counts = field(default_factory=dict)
    in_flight: _Count | None = None
    users: _Count | None = None
    scenarios_per_s: _Count | None = None
    cores: Mapping[_Name, float] = field(default_factory=dict)
    memory_bytes: Mapping[_Name, _Count] = field(default_factory=dict)
    parts: Mapping[_Name, PartSecond] = field(default_factory=dict)
    seconds: _Number = 1
    scenarios_completed: _Count = 0
    scenario_failures: _Counts = field(default_factory=dict)
    scenario_p95_ms: Milliseconds | None = None
    machines: _Number = 1


class Note(Struct, frozen=True, tag="note"):
    """A message about one step, such as the start of a stack; secrets are masked."""

    at_s: _Time
    text: _Note


class Probe(Struct, frozen=True, omit_defaults=True, tag="probe"):
    """What a probe of a search says about its rate; follows the end of its trial.

    Attributes:
        number: As `TrialBegins.number`.
        stage: Name of the search.
        unit: What the rate counts: ``RPS`` or ``users/s``.
        passed: Whether the rate was sustained; None where that could not be judged, or other programs
            disturbed it and it is tried again.
        reason: Why it was not; else empty.
    """

    at_s: _Time
    number: _Number
    configuration: _Name
    stage: _Name
    rate: PerSecond
    passed: bool | None
    unit: _Name = "RPS"
    reason: _Note = ""
    p95_ms: Milliseconds | None = None


class TrialEnds(Struct, frozen=True, omit_defaults=True, tag="trial_end"):
    """A trial is in the journal.

    Attributes:
        number: As `TrialBegins.number`.
        status: ``complete``; ``failed`` when the system under test died; ``aborted`` on a signal.
        succeeded: Requests due in the window that passed every check.
        failed: Those that did not, or were never sent.
        rps: Successful responses completed in the window ÷ its seconds; None where it did not begin.
        p95: Of the response time, or of the duration where there is no schedule or the engine knows no other.
        failures: Kind to count, as in `Second`.
        parts: Of a mix: name of a request to its part.
        scenarios: None without any.
        events: Of `notes`: what went wrong meanwhile, such as the death of the service.
    """

    at_s: _Time
    number: _Number
    status: TrialStatus
    succeeded: _Count = 0
    failed: _Count = 0
    rps: PerSecond | None = None
    p95: P95 = P95()
    notes: tuple[_Note, ...] = ()
    failures: _Counts = field(default_factory=dict)
    parts: Mapping[_Name, PartEnds] = field(default_factory=dict)
    scenarios: ScenariosEnd | None = None
    events: tuple[_Note, ...] = ()


class LoadEnds(Struct, frozen=True, tag="load_end"):
    """All trials have ended; what was measured is analyzed, and the report is written."""

    at_s: _Time


class RunEnds(Struct, frozen=True, omit_defaults=True, tag="end"):
    """The last record: results and report are written, as far as that is possible.

    Attributes:
        status: ``complete``; ``aborted`` by a signal or fault, with what was measured until then; ``failed``
            without any result.
        reason: What ended it early, with what to do about it in further lines; else empty.
    """

    at_s: _Time
    status: RunStatus
    reason: _Reason = ""


LiveRecord: TypeAlias = (
    RunBegins | TrialsPlanned | TrialBegins | Second | Note | Probe | TrialEnds | LoadEnds | RunEnds
)

_DECODER: Final = msgspec.json.Decoder(LiveRecord)
_ENCODER: Final = msgspec.json.Encoder()


def encode_live(record: LiveRecord) -> bytes:
    """Return a record as one line, with its end."""
    return _ENCODER.encode(record) + b"\n"


def decode_live(line: bytes) -> LiveRecord:
    """Return the record in a line.

    Raises:
        ValueError: It is none, or is longer than `MAX_LINE`.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"the line has {len(line)} bytes; a record has at most {MAX_LINE}")
    try:
        return _DECODER.decode(line)
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None


def shortened(text: str, most: int = MAX_NOTE) -> str:
    """Return a text as it fits into a note, or into `most` characters."""
    return text if len(text) <= most else f"{text[: most - 2]} …"
