"""What happened, as plain frozen data: no method here does I/O.

A `TrialFacts` is everything known about one trial. It is what the journal stores and
all that `runner.analyze` may look at, so a report can be made again from it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from runner.core.histogram import Histogram
from runner.core.units import Bytes, Nanoseconds, PerSecond, Seconds

FAILURE_KINDS: Final = (
    "connect_refused",
    "connect_timeout",
    "reset",
    "closed_early",
    "timeout",
    "bad_status",
    "bad_body",
    "protocol",
    "no_port",
    "no_fd",
)
"""Why a request that was taken up did not succeed. `dropped` (never sent) is counted apart."""


class Role(StrEnum):
    """Whose CPU it is."""

    APP = "app"
    PROXY = "proxy"
    FORWARDER = "forwarder"
    GENERATOR = "generator"
    RUNNER = "runner"
    DAEMON = "daemon"
    OTHER = "other"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server is spoken to over TLS.

    Attributes:
        server_name: Whom the certificate must name; also sent to the server (SNI).
        ca_file: PEM file of the authorities that are trusted; empty for those of the system.
        insecure: Any certificate is accepted.
    """

    server_name: str
    ca_file: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the load goes.

    Attributes:
        host: Name or address; IPv6 addresses without brackets.
        port: TCP port.
        scheme: ``http`` or ``https``.
        base_path: Put before every request's path, without a trailing slash; mostly empty.
        address: What to connect to, when `host` was looked up and judged already; nothing
            looks it up again. Empty when `host` stands for itself.
        tls: For ``https``, and only then.
    """

    host: str
    port: int
    scheme: Literal["http", "https"] = "http"
    base_path: str = ""
    address: str = ""
    tls: Tls | None = None


SubjectKind: TypeAlias = Literal["tree", "process", "cgroup", "system"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to watch.

    Attributes:
        name: Unique within the trial, such as ``app``, ``app-2``, ``nginx``.
        role: Whose CPU it counts as; several subjects may share a role.
        kind: ``tree`` a process and all its descendants, ``process`` one process alone,
            ``cgroup`` everything in the control groups of `pid`, ``system`` the host.
        pid: The (root) process; None for ``system``.
        started: The process's start time in clock ticks since boot (`/proc/<pid>/stat`,
            field 22): a process is (pid, start time), never a pid alone.
    """

    name: str
    role: Role
    kind: SubjectKind
    pid: int | None = None
    started: int | None = None


@dataclass(frozen=True, slots=True)
class Throttling:
    """What a CPU quota has cost a control group since it was made.

    Attributes:
        periods: Enforcement periods in which it wanted to run.
        throttled: Those in which it used its quota up and had to wait.
        waited_s: How long its threads waited, all together.
    """

    periods: int
    throttled: int
    waited_s: Seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """Cumulative counters of every subject at one instant.

    Attributes:
        t_s: Seconds since the measured window began; negative in the warm-up.
        cpu_s: Subject name to CPU seconds used since some fixed past. A subject that
            could not be read is absent, never 0.
        rss_bytes: Subject name to resident memory.
        throttling: Subject name to what its CPU quota cost; subjects without a quota are absent.
    """

    t_s: Seconds
    cpu_s: Mapping[str, Seconds]
    rss_bytes: Mapping[str, Bytes]
    throttling: Mapping[str, Throttling] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of the kernel or of a part of the stack, at both ends of the measured window.

    Attributes:
        scope: ``host``; ``net:<subject>`` for a network namespace (``net:host`` is the runner's own);
            or a subject's name.
        name: Such as ``tcp.listen_overflows``.
        unit: ``count``, ``s``, ``cores``, ``bytes`` or a thing that is counted.
        kind: ``counter`` is cumulative, ``gauge`` a level.
        before: At the window's start.
        after: At its end.
        peak: Of a gauge: the highest level seen in the window.
        limit: The bound it cannot pass, where there is one.
    """

    scope: str
    name: str
    unit: str
    kind: Literal["counter", "gauge"]
    before: float
    after: float
    peak: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A counter that could not be read, which is not the same as zero.

    Attributes:
        scope: As of `Counter`.
        name: As of `Counter`, or a family of them such as ``conntrack``.
        reason: A kernel without it, a permission, a restart in the window.
    """

    scope: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ObservedFacts:
    """What the witnesses saw in one trial.

    Attributes:
        subjects: Everything that was watched.
        samples: In time order, the window's two ends among them.
        notes: What could not be read and why, in sentences.
        requests: Subject's name to the requests it counted itself in the measured window,
            from its own Prometheus metrics; subjects without such a counter are absent.
        counters: Of the kernel, the proxy and the app, over the measured window.
        unreadable: Counters that could not be had.
    """

    subjects: tuple[Subject, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadSecond:
    """One second of a stage, all workers together.

    Counts and histograms hold only requests that were due in the measured window; each
    is counted in the second in which it *ended* (scheduled: came due; sent: was sent).
    Warm-up requests appear in `completed` alone.

    Attributes:
        index: 0 is the window's first second, negative the warm-up, beyond the window's
            length the drain in which late answers arrive.
        scheduled: Came due.
        sent: Were taken up, whether or not they got as far as being sent: every such request
            ends in `succeeded` or in one of `failures`.
        succeeded: Answered as expected.
        dropped: Never taken up.
        failures: Failure kind to count; kinds with no failure are absent.
        completed: Good answers whose last byte arrived in this second, warm-up included.
        in_flight: Requests under way at the second's end.
        duration: done − (ready if the connection is new, else started). It is ready when it is
            connected and, with TLS, the TLS handshake is over as well.
        response_time: done − due.
        connect: connected − started, new connections only; TCP alone.
        tls: ready − connected, new connections with TLS only.
        dispatch_delay: started − due, of every request taken up.
        first_byte: first byte − (ready if the connection is new, else started).
        cpu_s: CPU seconds the workers used in this second.
    """

    index: int
    scheduled: int = 0
    sent: int = 0
    succeeded: int = 0
    dropped: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    completed: int = 0
    in_flight: int = 0
    duration: Histogram = field(default_factory=Histogram)
    response_time: Histogram = field(default_factory=Histogram)
    connect: Histogram = field(default_factory=Histogram)
    tls: Histogram = field(default_factory=Histogram)
    dispatch_delay: Histogram = field(default_factory=Histogram)
    first_byte: Histogram = field(default_factory=Histogram)
    cpu_s: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """What the engine offered and what came back.

    Latency histograms hold successful requests only; `dispatch_delay` holds all taken up.

    Attributes:
        engine: The engine's word in the specification.
        workers: Generator processes.
        planned: Requests due in the whole measured window.
        seconds: In order of index, drain included.
        complete: False when the stage was cut short; `planned` then exceeds the sum of
            `scheduled`.
        clock: Which clock stamped the answers, in words for the appendix.
        lost_workers: One sentence per worker that died, hung or fell behind; such a stage
            is invalid.
        notes: Anything else a reader of the numbers should know, in sentences.
        stated_ms: For an engine that keeps no histograms (k6): ``duration`` and the like to
            ``mean``, ``p50`` ... ``max`` in milliseconds as the engine states them, None for
            what it cannot know. When present it stands instead of the seconds' histograms.
    """

    engine: str
    workers: int
    planned: int
    seconds: tuple[LoadSecond, ...]
    complete: bool
    clock: str
    lost_workers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stated_ms: Mapping[str, Mapping[str, float | None] | None] | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When a trial's parts happen, on CLOCK_MONOTONIC.

    Attributes:
        start_ns: The first arrival is due; the warm-up begins.
        measure_ns: The measured window begins.
        end_ns: The measured window ends; late answers may still arrive.
    """

    start_ns: Nanoseconds
    measure_ns: Nanoseconds
    end_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a trial and is not a request.

    Attributes:
        code: ``app-died``, ``stack-failed``, ``aborted``, ``generator-lost`` or ``out-of-memory``.
        message: A sentence for people.
        t_s: Seconds since the measured window began, None when it happened outside a stage.
        log: The last lines of output that explain it.
    """

    code: str
    message: str
    t_s: Seconds | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spacing:
    """The gaps between requests as their receiver saw them, by the kernel's receive stamps.

    Attributes:
        planned_gap_us: Median of the planned gaps.
        median_gap_us: Median of the gaps seen.
        error_p50_us: Median of |gap seen − gap planned|; bunching by a quantum is in it.
        error_p99_us: 99th percentile of the same.
    """

    planned_gap_us: float
    median_gap_us: float
    error_p50_us: float
    error_p99_us: float


@dataclass(frozen=True, slots=True)
class Floor:
    """What the generator shows at one rate with nothing to measure.

    Attributes:
        target_rps: Offered arrivals per second.
        achieved: Good answers in the window ÷ planned requests.
        duration_ms: ``p50``, ``p95`` and ``p99``; empty when nothing was answered.
        dispatch_delay_ms: Likewise.
        cpu_us_per_request: CPU of all workers, None when nothing was sent.
        spacing: None when too few requests arrived, or gaps could not be paired with planned ones.
    """

    target_rps: PerSecond
    achieved: float
    duration_ms: Mapping[str, float]
    dispatch_delay_ms: Mapping[str, float]
    cpu_us_per_request: float | None
    spacing: Spacing | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The generator's own error on this host, for one way of offering load.

    Attributes:
        made_at: UTC, ISO 8601 with seconds.
        connection: ``new`` or ``keep-alive``.
        workers: Generator processes.
        floors: One a rate, ascending.
        ceiling_rps: Requests a second that got through to the null responder when more were due;
            None for an engine whose ceiling is not sought (k6).
        engine: What offered the load.
    """

    made_at: str
    connection: str
    workers: int
    floors: tuple[Floor, ...]
    ceiling_rps: PerSecond | None
    engine: str = "builtin"


TrialStatus: TypeAlias = Literal["complete", "failed", "aborted"]


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """One stage of one configuration, run once.

    Attributes:
        configuration: Its name.
        stage: The stage's name.
        repeat: Counts from 1.
        order: The trial's place in the run, from 0.
        started_at: UTC, ISO 8601 with seconds.
        target_rps: Offered arrivals per second.
        warmup_s: Planned length of the warm-up.
        window_s: Planned length of the measured window.
        status: ``failed`` when the system under test died, ``aborted`` on a signal.
        load: None when the stage could not begin.
        observed: None when the stage could not begin.
        events: In time order.
        topology: What was really built, as the stack describes it (command, url, images...).
        proves: Order of the trial whose verdict this counter-experiment is about.
        change: What is done differently in it, a name of `runner.experiment.counter_experiments`.
        calibration: What the generator itself shows at this rate, None when it was not calibrated.
    """

    configuration: str
    stage: str
    repeat: int
    order: int
    started_at: str
    target_rps: PerSecond
    warmup_s: Seconds
    window_s: Seconds
    status: TrialStatus
    load: LoadFacts | None
    observed: ObservedFacts | None
    events: tuple[Event, ...] = ()
    topology: Mapping[str, object] = field(default_factory=dict)
    calibration: Calibration | None = None
    proves: int | None = None
    change: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run around its trials.

    Attributes:
        run_id: Unique, also in every name and label this run created.
        started_at: UTC, ISO 8601 with seconds.
        finished_at: None while it runs.
        command: The command line that makes this run again.
        overrides: ``path=value`` of every --set, in order.
        status: ``complete``, or ``aborted`` by `signal` or `error`.
        signal: ``SIGINT`` or ``SIGTERM`` when aborted by one.
        environment: Host facts; keys end in their unit where they have one.
        error: The fault that ended the run early, one sentence.
        resumed_at: When the run was taken up again after a crash, as of `started_at`.
    """

    run_id: str
    started_at: str
    finished_at: str | None
    command: str
    overrides: tuple[str, ...]
    status: Literal["complete", "aborted"]
    signal: str | None
    environment: Mapping[str, object]
    error: str | None = None
    resumed_at: tuple[str, ...] = ()
