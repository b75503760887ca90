"""The content of results.json as types: what every report, comparison and check is made from.

Decoding checks types, ranges and patterns, so that whatever was decoded can be rendered. Free text may hold
anything and is escaped where it is shown. Field order is the order of keys in the file. Fields without a
default are always written; optional ones only where they apply.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from runner.core.codes import (
    Cause,
    Confidence,
    HypothesisAnswer,
    Limit,
    ProofAnswer,
    SearchEnding,
    StageStatus,
    Unbounded,
    Validity,
)
from runner.core.definitions import DEFINITIONS
from runner.core.load_facts import ConnectionCounts, ResponseSample
from runner.core.ramp import Ramp
from runner.core.system_facts import SystemDescription

Number: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
"""A finite number; larger ones are no measurement."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000_000_000)]
"""A whole number of things."""
Word: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$(?!\n)")]
"""An identifier without markup."""
Unit: TypeAlias = Annotated[str, Meta(pattern=r"^[^\\`*_{}\[\]<>#|~@\x00-\x1f]{0,40}$(?!\n)")]
"""A short text without markup, such as ``requests``."""
Text: TypeAlias = Annotated[str, Meta(max_length=100_000)]
"""Free text; anything may be in it."""
Sentence: TypeAlias = Annotated[str, Meta(max_length=100_000, extra={"prose": True})]
"""Free text that a version words from codes and numbers; another version may word it otherwise."""
Role: TypeAlias = Word
"""Whose resource it is: a value of `runner.core.codes.Role`, or the name of a service."""
EnvironmentValue: TypeAlias = Annotated[str, Meta(max_length=1000)] | bool | Number | Count | None


class Evidence(Struct, frozen=True):
    """A number that supports a finding.

    Attributes:
        value: In `unit`; of a counter, how much it rose in the window.
        threshold: From where on it counts; None without such a bound.
        before: Of a counter, its value at the window's start.
    """

    name: Text
    value: Number
    unit: Unit
    threshold: Number | None = None
    source: Text | None = ""
    before: Number | None = None
    after: Number | None = None


class Finding(Struct, frozen=True):
    """A limit that was found, with advice; summary and advice have no capital and no full stop.

    Attributes:
        service: The service that is the limit, whose connections are, or that requests waited for; of a
            program outside the experiment that serves the app, the program's name. Absent elsewhere.
    """

    code: Limit
    confidence: Confidence
    summary: Sentence
    evidence: tuple[Evidence, ...]
    advice: Sentence
    service: Word | UnsetType = UNSET


class RuledOut(Struct, frozen=True):
    """A limit that was looked for and does not apply, with the number that says so."""

    code: Limit
    why: Sentence


class Block(Struct, frozen=True):
    """One of the short runs that a counter-experiment consists of.

    Attributes:
        changed: Whether it had the change.
        order: Place in the run, from 0.
        actual_rps: As of a stage.
        limit: The code of its verdict.
        used: Whether it counts: it ran to its end and is valid.
    """

    changed: bool
    order: Count
    actual_rps: Number | None
    limit: Limit
    used: bool


class CounterExperiment(Struct, frozen=True, omit_defaults=True):
    """A stage that was run again without and with one change, in alternating blocks.

    Attributes:
        change: A name of `runner.experiment.counter_experiments`.
        words: What was changed, to begin a sentence with.
        cause: What limits the stage if the change lifts the limit.
        actual_rps: Mean throughput of the neighbours of the blocks with the change, and of these.
        lift: Relative gain in throughput; None where it is not known.
        trial: The block with the change whose throughput is the median.
        blocks: In the order in which they ran; empty in runs of versions that ran a single one.
        spread: Difference between the largest and the smallest throughput without the change ÷ their mean;
            None where it is not known.
        target_rps: Requests offered per second in each block; None with users.
    """

    change: Word
    words: Text
    cause: Cause
    actual_rps: tuple[Number | None, Number | None]
    lift: Number | None
    answer: ProofAnswer
    sentence: Sentence
    trial: Stage
    blocks: tuple[Block, ...] = ()
    spread: Number | None = None
    target_rps: Number | None = None


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What limits a stage.

    Attributes:
        code: Of the first finding, or ``undetermined`` where a counter-experiment refuted it.
        findings: The limits that were found, the surest first.
        ruled_out: The limits that were looked for and do not apply; None for a stage that was not run.
        withdrawn: The code that a counter-experiment refuted.
        counter_experiment: The one that decides, else the first one.
        other_experiments: Those with other changes, in the order in which they ran.
        unproven: Why there is no counter-experiment although they were asked for; empty where there is one.
    """

    code: Limit
    confidence: Confidence
    findings: tuple[Finding, ...]
    ruled_out: tuple[RuledOut, ...] | None = None
    withdrawn: Limit | None = None
    counter_experiment: CounterExperiment | None = None
    other_experiments: tuple[CounterExperiment, ...] = ()
    unproven: Sentence = ""

    @property
    def service(self) -> str | None:
        """Name of the service that the limit is about; None if it is about none."""
        return (self.findings[0].service or None) if self.findings else None

    @property
    def experiments(self) -> tuple[CounterExperiment, ...]:
        """All counter-experiments, the one that decides first."""
        return (self.counter_experiment, *self.other_experiments) if self.counter_experiment else ()


class Requests(Struct, frozen=True):
    """What happened to the requests that were due in the measured window.

    Attributes:
        scheduled: Came due. The sum of `succeeded`, `failed` and `dropped` in a stage that ran to its end.
        succeeded: Got a response that passed every check.
        failed: Sum of `failures`.
        dropped: Were never sent.
        statuses: Status code to count, of the `bad_status` failures; ``other`` are further codes of a
            server with very many. Absent where there are none, or where they were not counted.
    """

    scheduled: Count
    sent: Count
    succeeded: Count
    failed: Count
    dropped: Count
    failures: dict[Word, Count]
    statuses: dict[Word, Count] | UnsetType = UNSET

    @property
    def lost(self) -> int:
        """Requests that failed or were never sent."""
        return self.failed + self.dropped


class Latency(Struct, frozen=True):
    """Statistics of one latency in milliseconds; None where nothing was recorded.

    Percentiles of duration, response time and first byte are those of all requests due: one that failed or
    was never sent counts as infinitely slow. Mean and maximum are those of successful responses.

    Attributes:
        unbounded: Statistic to why it has no finite value; those that have one are absent. Percentiles are
            None then, `max` is that of the successful responses.
    """

    mean: Number | None = None
    p50: Number | None = None
    p90: Number | None = None
    p95: Number | None = None
    p99: Number | None = None
    p999: Number | None = None
    max: Number | None = None
    unbounded: dict[Word, Unbounded] | UnsetType = UNSET

    def why_unbounded(self, statistic: str) -> Unbounded | None:
        """Return why a statistic has no finite value; None if it has one or was not measured."""
        return self.unbounded.get(statistic) if self.unbounded else None


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
    """

    t_s: Number
    rps: Count | None
    p95_ms: Number | None
    errors: Count = 0
    in_flight: Count = 0
    cpu_app: Number | None = None
    cpu_system: Number | None = None


class SpacingError(Struct, frozen=True):
    """Gaps between requests at their receiver, in µs; as of `runner.core.calibration_facts.Spacing`."""

    planned_gap_us: Number
    median_gap_us: Number
    error_p50_us: Number
    error_p99_us: Number


class StageCalibration(Struct, frozen=True):
    """The generator against a server that does nothing, at the stage's rate.

    Attributes:
        ceiling_rps: The highest rate that the generator could offer; None where it was not measured.
        achieved: Successful responses ÷ planned requests; None where nothing was measured at this rate.
        duration_ms: ``p50``, ``p95``, ``p99``, as `dispatch_delay_ms` has; empty where nothing was measured.
        cpu_us_per_request: CPU time of all workers.
        spacing_us: None where gaps could not be paired with planned ones.
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


class StageEvent(Struct, frozen=True):
    """Something that happened in a stage and is not a request; as of `runner.core.facts.Event`."""

    code: Word
    message: Text
    t_s: Number | None
    log: tuple[Text, ...]


class ThresholdResult(Struct, frozen=True):
    """A threshold on a stage: failed where nothing was measured; its value is in the metric's unit.

    Attributes:
        value: None where nothing was measured, and where the metric has no finite value.
            Of a ramp and a metric that each slice has: in the first slice that fails, else the worst.
        unbounded: Why it has none; absent otherwise.
        request: The request of a mix that it is about; absent for the whole stage.
        level: Of a ramp: the average level of the first slice that fails; absent where none does.
        bound: In the metric's unit, of a threshold that each slice of a ramp has to pass; absent otherwise.
        why: Why it fails whatever was measured, such as an app that was killed; absent otherwise.
    """

    expr: Text
    ok: bool
    value: Number | None
    unbounded: Unbounded | UnsetType = UNSET
    request: Word | UnsetType = UNSET
    level: Number | UnsetType = UNSET
    bound: Number | UnsetType = UNSET
    why: Sentence | UnsetType = UNSET


class StageValidity(Struct, frozen=True, omit_defaults=True):
    """Whether the stage may be believed, and why not, in sentences without a full stop.

    Attributes:
        disturbed: Whether programs outside the experiment used so much CPU that they are one of the reasons.
    """

    status: Validity
    reasons: tuple[Sentence, ...]
    disturbed: bool = False


class Probe(Struct, frozen=True, omit_defaults=True):
    """Of a stage that a search ran: what it says about its rate.

    Attributes:
        probe: Counts from 1.
        holds: Whether all conditions passed; None where the probe could not be judged, or was disturbed by
            other programs and repeated.
        why: Why they did not; empty when they did.
        decides: Whether the result of the search rests on this probe; None until the search is over.
    """

    stage: Text
    probe: Count
    holds: bool | None
    why: Sentence
    conditions: tuple[ThresholdResult, ...]
    decides: bool | None = None


class Measured(Struct, frozen=True, kw_only=True):
    """What was measured of a whole stage, or of one part of it such as one request of several.

    Attributes:
        actual_rps: Successful responses completed in the window ÷ its seconds; None without any data.
        achieved: Share of the requests due in the window that the service sustained, 0 to 1: 1 if all succeed
            in time, capacity ÷ target rate under overload. `runner.analyze.achieved` has the rule.
        duration_ms: done − (ready if the connection is new, else started).
        response_time_ms: done − due.
        connect_ms: connected − started, new connections only.
        tls_ms: ready − connected, new connections with TLS only.
        dispatch_delay_ms: started − due.
        first_byte_ms: first byte − (ready if the connection is new, else started).
        distribution: Pairs of percentile and response time in ms; None where no histogram is known.
        variation: Of a mix: key metric to how much it varied in the window, as of `runner.analyze.variation`;
            empty of a single request.
    """

    requests: Requests
    actual_rps: Number | None
    achieved: Number | None
    duration_ms: Latency
    response_time_ms: Latency
    connect_ms: Latency
    tls_ms: Latency
    dispatch_delay_ms: Latency
    first_byte_ms: Latency
    distribution: tuple[tuple[Number, Number], ...] | None
    variation: dict[Word, Number] = {}


NO_LATENCY: Final = Latency()
"""Of what was not measured."""


class Slice(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured in one slice of a ramp.

    A request belongs to the slice in which it ended; one that ended after the window, to the last slice.

    Attributes:
        begin_s: Seconds after the start of the measured window.
        level: The rate, or the number of users, at both ends of the slice.
        due: Requests that came due in the slice.
        requests: Those that ended in the slice; `scheduled` and `sent` count these as well.
        achieved: Always None: of a slice, it would depend on when the requests of the one before end.
    """

    begin_s: Number
    end_s: Number
    level: Ramp
    due: Count
    achieved: Number | None = None
    connect_ms: Latency = NO_LATENCY
    tls_ms: Latency = NO_LATENCY
    dispatch_delay_ms: Latency = NO_LATENCY
    first_byte_ms: Latency = NO_LATENCY
    distribution: tuple[tuple[Number, Number], ...] | None = None


class Part(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of one request of several.

    Attributes:
        target_rps: Its share of the stage's rate; None with users.
        samples: As of the whole.
        slices: As of the whole; their levels are those of the stage.
    """

    target_rps: Number | None
    samples: tuple[ResponseSample, ...] = ()
    slices: tuple[Slice, ...] = ()


class ObservedStage(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of a stage, with what was observed around it and concluded from it.

    Attributes:
        cpu_cores: Role to CPU cores; None for a role that was not observed.
        throttling_by_subject: Name to the cost of its CPU quota; subjects without a quota are absent.
        requests_by_subject: Name to the requests that it counted itself.
        cpu_us_per_request: Role to CPU time per successful response, in µs.
        timeseries: One entry per second, the warm-up first.
        clock: Which clock timed the responses.
        calibration: The generator's own numbers at this rate; None without a calibration.
        notes: What else a reader should know, in sentences without a full stop.
        parts: Name of a request or scenario to what was measured of it alone; empty where there is only one.
        connections: Opened and closed ones; None where they were not counted.
        samples: The first response of each failure and status that did not succeed, in part.
        app_output: The last lines that the app had written at the end of a stage with 5xx responses.
        ramp: How the rate changed over the window; absent where it was constant.
        users: Of the closed model: how many users sent requests, each waiting for its response. A ramp of
            users has the numbers at both ends of the window.
        slices: Of a ramp, in order of time; empty for a constant level.
        programs: The busiest programs outside the experiment, the one that used most CPU first.
        peers: What the system under test had connections to.
    """

    cpu_cores: dict[Role, Usage | None]
    cpu_cores_by_subject: dict[Word, SubjectUsage]
    throttling_by_subject: dict[Word, ThrottlingShare]
    requests_by_subject: dict[Word, Count]
    cpu_us_per_request: dict[Role, Number | None]
    memory_mib: dict[Role, Usage | None]
    counters: tuple[CounterReading, ...]
    unreadable: tuple[UnreadableCounter, ...]
    timeseries: tuple[Moment, ...]
    clock: Text | None
    calibration: StageCalibration | None
    workers: Count | None
    notes: tuple[Sentence, ...]
    thresholds: tuple[ThresholdResult, ...]
    validity: StageValidity
    verdict: Verdict
    find: Probe | None = None
    parts: dict[Word, Part] = {}
    connections: ConnectionCounts | None = None
    samples: tuple[ResponseSample, ...] = ()
    app_output: tuple[Text, ...] = ()
    ramp: Ramp | None = None
    users: Count | Ramp | None = None
    slices: tuple[Slice, ...] = ()
    programs: tuple[ProgramUsage, ...] = ()
    peers: tuple[PeerUsage, ...] = ()

    def sample_of_status(self, status: str) -> ResponseSample | None:
        """Return a response with a status, given as a key of the requests' statuses; None without one."""
        refused = (sample for sample in self.samples if sample.failure == "bad_status")
        return next((sample for sample in refused if str(sample.status) == status), None)


def _nothing_observed() -> dict[str, object]:
    """Return the fields of a stage that its single requests do not have, empty."""
    mappings = (
        "cpu_cores", "cpu_cores_by_subject", "throttling_by_subject", "requests_by_subject",
        "cpu_us_per_request", "memory_mib", "parts",
    )  # fmt: skip
    sequences = ("counters", "unreadable", "timeseries")
    empty: dict[str, object] = {name: {} for name in mappings} | dict.fromkeys(sequences, ())
    return empty | {"calibration": None, "connections": None}


def stage_title(name: str, repeat: int) -> str:
    """Return what people call a stage: its name, with its repeat if it is not the first; 0 is the median."""
    if repeat == 1:
        return name
    return f"{name} (repeat {repeat})" if repeat else f"{name} (median)"


class Stage(ObservedStage, frozen=True, omit_defaults=True):
    """One stage of one configuration, run once.

    Attributes:
        target_rps: Requests offered per second; of a ramp, the average over the window; None with users,
            who have no target.
        repeat: Counts from 1.
        order: Place in the run, from 0.
        events: In time order.
    """

    name: Text
    engine: Word
    target_rps: Number | None
    window_s: Number
    warmup_s: Number
    timeout_s: Number
    repeat: Count
    order: Count
    status: StageStatus
    replicas: Count
    events: tuple[StageEvent, ...]

    @property
    def title(self) -> str:
        """What people call it."""
        return stage_title(self.name, self.repeat)

    @property
    def rate(self) -> float:
        """The target rate; 0 in the closed model, where nothing is compared or sorted by it."""
        return self.target_rps or 0.0

    @property
    def level_ramp(self) -> Ramp | None:
        """How its rate or its number of users changed over the window; None for a constant level."""
        return self.users if isinstance(self.users, Ramp) else self.ramp

    def slice(self, place: int) -> Stage:
        """Return what was measured in one slice of a ramp, as a stage; without what only the whole has."""
        own = self.slices[place]
        values = {name: getattr(own, name) for name in Measured.__struct_fields__}
        nothing = _nothing_observed() | {"thresholds": (), "samples": (), "slices": (), "ramp": None}
        seconds = tuple(second for second in self.timeseries if own.begin_s < second.t_s <= own.end_s)
        nothing["timeseries"] = seconds
        length_s = own.end_s - own.begin_s
        rate = None if self.users else own.level.mean
        return replace(self, **nothing, **values, window_s=length_s, target_rps=rate)

    def part(self, request: str) -> Stage:
        """Return what was measured of one request of a mix, as a stage; without what only the whole has.

        Raises:
            KeyError: The stage has no such request.
        """
        own = tuple(threshold for threshold in self.thresholds if threshold.request == request)
        measured = self.parts[request]
        ramp = self.ramp
        if ramp is not None and measured.target_rps is not None and self.rate:
            share = measured.target_rps / self.rate
            ramp = Ramp(ramp.begin * share, ramp.to * share)
        return replace(self, **_nothing_observed(), **asdict(measured), ramp=ramp, thresholds=own)


class OutlierResult(Struct, frozen=True):
    """A repeat that stands out."""

    order: Count
    value: Number


class RepeatedMetric(Struct, frozen=True):
    """One metric of all repeats: their median, its 95 % interval, and outliers.

    Attributes:
        low: None below three repeats.
        high: None below three repeats, and where it is not finite because requests failed.
    """

    median: Number
    low: Number | None
    high: Number | None
    outliers: tuple[OutlierResult, ...]


class Repeats(Struct, frozen=True):
    """All repeats of a stage: how many could be used, and the orders of those that could not.

    Attributes:
        metrics: Key of `runner.analyze.key_metrics` to its value.
        thresholds: Judged on the medians; absent without any, and in files of Loadproof before 0.2.0.
    """

    stage: Text
    n: Count
    left_out: tuple[Count, ...]
    metrics: dict[Word, RepeatedMetric]
    thresholds: tuple[ThresholdResult, ...] | UnsetType = UNSET


class ProbeSummary(Struct, frozen=True):
    """A probe of a search in one line; fields as in its stage."""

    rps: Number
    order: Count
    ok: bool | None
    p95_ms: Number | None
    achieved: Number | None
    why: Sentence
    verdict: Limit
    validity: Validity


class Knee(Struct, frozen=True):
    """Where the latency turns up: the last rate before, and the latency there; None without a knee."""

    rps: Number | None
    p95_ms: Number | None
    method: Text
    sentence: Sentence


class Capacity(Struct, frozen=True):
    """What a search found.

    Attributes:
        precision: How far apart, relatively, the bounds may be in the end.
        rps: The capacity; None where none was found.
        held_rps: The highest rate that passed.
        failed_rps: The lowest that did not.
        limited_by: Verdict of the lowest rate that failed.
        latency: Name of the latency in `probes` and `knee`.
        request: The request of a mix that it was measured of; absent for all.
    """

    stage: Text
    repeat: Count
    holds: tuple[Text, ...]
    min_rps: Number
    max_rps: Number
    precision: Number
    ending: SearchEnding
    rps: Number | None
    held_rps: Number | None
    failed_rps: Number | None
    limited_by: Limit | None
    latency: Word
    probes: tuple[ProbeSummary, ...]
    knee: Knee
    sentence: Sentence
    request: Word | UnsetType = UNSET


class Difference(Struct, frozen=True):
    """One metric as two engines measured it.

    Attributes:
        values: Of the stage's own engine and of the other one.
        difference: The second minus the first.
        ratio: The second ÷ the first; None where the first is 0.
    """

    metric: Word
    values: tuple[Number, Number]
    difference: Number
    ratio: Number | None
    same: bool


class CrossCheck(Struct, frozen=True):
    """A stage beside the same stage with the other engine."""

    stage: Text
    repeat: Count
    engines: tuple[Word, Word]
    differences: tuple[Difference, ...]
    agrees: bool
    reasons: tuple[Sentence, ...]
    trial: Stage


class Hypothesis(Struct, frozen=True):
    """The limit that was expected, against the one that was found, and the stage that decides."""

    expected: Limit
    answer: HypothesisAnswer
    stage: Text
    why: Sentence


class RequestSummary(Struct, frozen=True):
    """The request that was sent."""

    method: Text
    path: Text


class RequestShare(Struct, frozen=True):
    """One request of a mix, and its share of all requests, 0 to 1; variables are not replaced in its path."""

    name: Word
    method: Text
    path: Text
    share: Number


class SentVariable(Struct, frozen=True):
    """A variable of the requests; of a secret, the name alone.

    Attributes:
        kind: The key of its source in the specification, such as ``csv`` or ``int``; ``env`` is a secret.
        source: The file as in the specification, or the command; absent for other kinds.
        order: Of rows: ``sequential``, ``random`` or ``once``; absent for other kinds.
        rows: How many there were; absent for other kinds.
    """

    name: Text
    kind: Word
    source: Text | UnsetType = UNSET
    order: Word | UnsetType = UNSET
    rows: Count | UnsetType = UNSET


class LoadSummary(Struct, frozen=True):
    """How a configuration was loaded.

    Attributes:
        request: None of a mix.
        requests: Those of a mix, in the specification's order; absent without one.
        variables: Of the requests, in the specification's order; absent without any.
    """

    connection: Word
    arrivals: Word
    max_in_flight: Count
    when_full: Word
    timeout_s: Number
    request: RequestSummary | None
    requests: tuple[RequestShare, ...] | UnsetType = UNSET
    variables: tuple[SentVariable, ...] | UnsetType = UNSET


class HookSummary(Struct, frozen=True):
    """A hook that ran; fields as of `runner.core.facts.HookFacts`.

    Attributes:
        runs: How often it ran.
        median_s: How long it took.
        longest_s: How long it took at most.
        failed: How many of the runs are not done; absent if all are.
        status: Of the last run that is not done; ``done`` if all are.
        reason: Of that run; absent if all are done.
    """

    phase: Literal["setup", "before_trial", "teardown"]
    number: Count
    what: Text
    runs: Count
    median_s: Number
    longest_s: Number
    status: Literal["done", "failed", "skipped", "ended"]
    failed: Count | UnsetType = UNSET
    reason: Text | UnsetType = UNSET

    @property
    def path(self) -> str:
        """Where it stands in the specification."""
        return f"hooks.{self.phase}[{self.number - 1}]"


class ConfigurationResults(Struct, frozen=True):
    """One system under test, the way it was loaded, and its stages.

    Attributes:
        hooks: Those that ran; absent without any.
    """

    name: Text
    title: Text | None
    topology: SystemDescription
    engine: Word
    load: LoadSummary
    hypothesis: Hypothesis | None
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    repeats: tuple[Repeats, ...]
    capacity: tuple[Capacity, ...]
    cross_check: tuple[CrossCheck, ...]
    hooks: tuple[HookSummary, ...] | UnsetType = UNSET


class ScalingPoint(Struct, frozen=True):
    """A capacity with its bounds and its number of replicas.

    Attributes:
        source: ``search`` or ``overload``.
        fitted_rps: What the law says; None without a law.
    """

    configuration: Text
    replicas: Count
    rps: Number
    low_rps: Number
    high_rps: Number
    source: Word
    limited_by: Limit | None
    fitted_rps: Number | None


Interval: TypeAlias = tuple[Number | None, Number | None]
"""Both ends of a 95 % interval; None for no bound."""


class ScalingLaw(Struct, frozen=True):
    """The Universal Scalability Law as fitted.

    Attributes:
        rps_of_one: Capacity of one replica.
        contention: σ.
        contention_95: Its interval; None where the points determine the law exactly.
        coherency: κ.
        peak_replicas: Where the capacity is highest; None without a peak.
        ceiling_rps: The highest capacity; None without a bound.
    """

    rps_of_one: Number
    contention: Number
    contention_95: Interval | None
    coherency: Number
    coherency_95: Interval | None
    peak_replicas: Number | None
    peak_95: Interval | None
    ceiling_rps: Number | None


class Scaling(Struct, frozen=True):
    """Configurations that differ in their number of replicas alone.

    Attributes:
        configurations: Their names, fewest replicas first.
        without: Configurations whose limit was not found.
        law: None where the points are too few.
    """

    configurations: tuple[Text, ...]
    points: tuple[ScalingPoint, ...]
    without: tuple[Text, ...]
    law: ScalingLaw | None
    method: Text
    sentence: Sentence


class ExperimentInfo(Struct, frozen=True):
    """The experiment's name, title, objective, and the SHA-256 of its specification."""

    name: Word
    title: Text
    objective: Text
    spec_sha256: Word


class RunInfo(Struct, frozen=True):
    """The run; fields as of `runner.core.facts.RunFacts`.

    Attributes:
        files_outside: Absent without any.
        files_with_secrets: Absent without any.
    """

    id: Word
    started_at: Text
    finished_at: Text | None
    status: Literal["complete", "aborted"]
    signal: Word | None
    error: Text | None
    command: Text
    overrides: tuple[Text, ...]
    resumed_at: tuple[Text, ...]
    files_outside: tuple[Text, ...] | UnsetType = UNSET
    files_with_secrets: tuple[Text, ...] | UnsetType = UNSET


class Results(Struct, frozen=True):
    """The content of results.json.

    Attributes:
        environment: The host; keys end in their unit where they have one.
        scaling: One entry per family of configurations that differ in replicas alone.
        definitions: Version of what the numbers mean, see `runner.core.definitions`.
    """

    schema_version: int
    experiment: ExperimentInfo
    run: RunInfo
    environment: dict[Word, EnvironmentValue]
    configurations: Annotated[tuple[ConfigurationResults, ...], Meta(min_length=1)]
    scaling: tuple[Scaling, ...]
    definitions: Annotated[int, Meta(ge=1, le=DEFINITIONS)] = 1

    @property
    def cpu_count(self) -> int | None:
        """The host's number of cores, None where it is not known."""
        found = self.environment.get("cpu_count")
        return int(found) if isinstance(found, int | float) and found else None
