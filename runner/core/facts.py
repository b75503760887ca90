"""What happened in a run, as frozen data without I/O.

`TrialFacts` holds everything known about one trial. The journal stores it, and `runner.analyze` reads nothing
else about what happened, so a report can be made again from it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from runner.core.codes import RoleName
from runner.core.histogram import EMPTY, Histogram
from runner.core.ramp import Ramp
from runner.core.units import Bytes, Nanoseconds, PerSecond, Seconds

FAILURE_KINDS: Final = (
    "connect_refused", "connect_timeout", "reset", "closed_early", "timeout", "bad_status", "bad_header",
    "bad_body", "protocol", "no_port", "no_fd",
)  # fmt: skip
"""Why a request that was taken up did not succeed. `dropped` (never sent) is counted separately."""


class Tls(Struct, frozen=True, omit_defaults=True):
    """TLS settings of an endpoint.

    Attributes:
        server_name: The name that the certificate must contain; also sent to the server (SNI).
        ca_file: PEM file of trusted authorities; empty for those of the system.
        insecure: Accept any certificate.
    """

    server_name: str
    ca_file: str = ""
    insecure: bool = False


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """Where the load goes.

    Attributes:
        host: Name or address; IPv6 addresses without brackets.
        base_path: Prefix of every request's path, without a trailing slash; usually empty.
        address: The address to connect to, when `host` was resolved and checked already; it is not
            resolved again. Empty when `host` is used as it is.
        addresses: All addresses to connect to in turn, checked already, where there are several.
    """

    host: str
    port: int
    scheme: Literal["http", "https"] = "http"
    base_path: str = ""
    address: str = ""
    tls: Tls | None = None
    addresses: tuple[str, ...] = ()


SubjectKind: TypeAlias = Literal["tree", "process", "cgroup", "system"]


class Subject(Struct, frozen=True, omit_defaults=True):
    """One thing to observe.

    Attributes:
        name: Unique within the trial, such as ``app``, ``app-2``, ``nginx``.
        kind: ``tree`` a process and all its descendants, ``process`` one process alone,
            ``cgroup`` everything in the control groups of `pid`, ``system`` the host.
        pid: The (root) process; None for ``system``.
        started: The process's start time in clock ticks since boot (`/proc/<pid>/stat`,
            field 22): a process is (pid, start time), never a pid alone.
    """

    name: str
    role: RoleName
    kind: SubjectKind
    pid: int | None = None
    started: int | None = None


class Throttling(Struct, frozen=True, omit_defaults=True):
    """What a CPU quota cost a control group since its creation.

    Attributes:
        periods: Enforcement periods in which it wanted to run.
        throttled: Periods in which it used up its quota and had to wait.
        waited_s: Total time that its threads waited.
    """

    periods: int
    throttled: int
    waited_s: Seconds


class Sample(Struct, frozen=True, omit_defaults=True):
    """Cumulative counters of every subject at one instant.

    Attributes:
        t_s: Seconds since the measured window began; negative in the warm-up.
        cpu_s: Subject name to CPU seconds used since a fixed point in the past. A subject that
            could not be read is absent, never 0.
        rss_bytes: Subject name to resident memory.
        throttling: Subject name to the cost of its CPU quota; subjects without a quota are absent.
        read_s: Subject name to when it was read, as `t_s`; absent where that was within 1 ms of `t_s`.
    """

    t_s: Seconds
    cpu_s: Mapping[str, Seconds]
    rss_bytes: Mapping[str, Bytes]
    throttling: Mapping[str, Throttling] = field(default_factory=dict)
    read_s: Mapping[str, Seconds] = field(default_factory=dict)


class Counter(Struct, frozen=True, omit_defaults=True):
    """One counter of the kernel or of a part of the stack, at both ends of the measured window.

    Attributes:
        scope: ``host``; ``net:<subject>`` for a network namespace (``net:host`` is the runner's own);
            or a subject's name.
        name: Such as ``tcp.listen_overflows``.
        unit: ``count``, ``s``, ``cores``, ``bytes`` or the thing that is counted.
        kind: ``counter`` is cumulative, ``gauge`` a level.
        peak: Of a gauge: the highest level seen in the window.
        limit: The bound it cannot exceed, where there is one.
    """

    scope: str
    name: str
    unit: str
    kind: Literal["counter", "gauge"]
    before: float
    after: float
    peak: float | None = None
    limit: float | None = None


class Unreadable(Struct, frozen=True, omit_defaults=True):
    """A counter, or a family such as ``conntrack``, that could not be read, which is not the same as zero."""

    scope: str
    name: str
    reason: str


KERNEL_THREADS: Final = "kernel"
"""Name of the program that stands for all threads of the kernel; no other program has it."""


class Program(Struct, frozen=True, omit_defaults=True):
    """A program on this host that is no part of the system under test, the generator or the runner.

    All its processes and threads in the measured window; programs that ended in the window are included as
    far as they were seen.

    Attributes:
        name: As the kernel knows it (``comm``), such as ``redis-server``.
        pids: Its processes, the one that used most CPU first; at most 16.
        cores: CPU seconds used ÷ seconds.
        busiest_thread: Cores that its busiest thread used, at most 1; None where that was not read.
        serves: The app had connections to it, so it may be a service.
        port: The port that the app is connected to, of a program that serves it.
    """

    name: str
    pids: tuple[int, ...]
    cores: float
    busiest_thread: float | None = None
    serves: bool = False
    port: int | None = None


class PeerSample(Struct, frozen=True, array_like=True):
    """Connections from one subject to one peer at an instant.

    Attributes:
        t_s: Seconds since the measured window began.
        established: How many are established.
        waiting: Of these, the ones on which data was sent more recently than received: a request to the
            service is under way; None where the kernel does not tell, as of Unix sockets.
        queued_bytes: Bytes in their send queues and in the peer's receive queues, as far as these are known.
    """

    t_s: Seconds
    established: int
    waiting: int | None
    queued_bytes: int = 0


class Peer(Struct, frozen=True, omit_defaults=True):
    """A program that a subject of the system under test opens connections to.

    Attributes:
        subject: Name of the subject that opened the connections, such as ``app``.
        role: Role of the peer: a service's name, ``proxy`` ...; empty if the peer is not part of the stack.
        address: Numeric address of the peer, or the path of its Unix socket.
        port: 0 for a Unix socket.
        program: Name of the peer's process; empty where it is not on this host or cannot be told.
        pid: A process that has the other ends; None where it is not known.
        samples: In time order, at least one per second of the window.
        opened: Connections opened in the window, as far as they were seen; more than `samples` show if the
            subject opens a new one for each request.
    """

    subject: str
    role: RoleName
    address: str
    port: int
    program: str = ""
    pid: int | None = None
    samples: tuple[PeerSample, ...] = ()
    opened: int = 0


class ObservedFacts(Struct, frozen=True, omit_defaults=True):
    """What was observed in one trial.

    Attributes:
        samples: In time order, including both ends of the window.
        requests: Subject name to the requests that it counted itself in the measured window, from its
            Prometheus metrics; subjects without such a counter are absent.
        programs: The busiest programs outside the experiment, the one that used most CPU first; at most 10.
        peers: What the system under test had connections to; at most 64.
    """

    subjects: tuple[Subject, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    programs: tuple[Program, ...] = ()
    peers: tuple[Peer, ...] = ()


MAX_SAMPLE: Final = 2048
"""Length of each text in a `ResponseSample`, at most."""
_SHOWN_CHARACTERS: Final = 200
_ShortText: TypeAlias = Annotated[str, Meta(max_length=MAX_SAMPLE)]


class ResponseSample(Struct, frozen=True, omit_defaults=True):
    """The beginning of a response that did not succeed: the first with its request, failure and status.

    Engines return its texts as they were received; stored ones are printable, with secrets masked.

    Attributes:
        failure: Failure kind.
        status: Status code; 0 where there is none, because the response is no HTTP.
        headers: Name and value of those that explain it, names in small letters.
        body: The beginning of the body, decompressed; empty if its coding is neither gzip nor deflate. Of a
            response that is no HTTP, the beginning of all of it.
        failed_checks: The checks of the specification that it does not pass, with what was received; empty
            where the status is not accepted, and in files of versions without it.
    """

    failure: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$(?!\n)")]
    status: Annotated[int, Meta(ge=0, le=999)] = 0
    headers: tuple[tuple[_ShortText, _ShortText], ...] = ()
    body: _ShortText = ""
    failed_checks: _ShortText = ""

    def excerpt(self) -> ResponseSample:
        """Return the part of it that is shown; the journal keeps the rest."""
        headers = tuple((name, value[:_SHOWN_CHARACTERS]) for name, value in self.headers)
        return replace(self, headers=headers, body=self.body[:_SHOWN_CHARACTERS])


class LoadSecond(Struct, frozen=True, omit_defaults=True):
    """One second of a stage, all workers together.

    Counts and histograms hold only requests that were due in the measured window; each is counted in the
    second in which it *ended* (scheduled: came due; sent: was sent). Warm-up requests appear in `completed`
    alone.

    Attributes:
        index: 0 is the window's first second, negative the warm-up, beyond the window's
            length the drain in which late responses arrive.
        sent: Were taken up, whether or not they were sent completely: every such request
            ends in `succeeded` or in one of `failures`.
        succeeded: Got a response that passed every check.
        dropped: Never taken up.
        failures: Failure kind to count; kinds with no failure are absent.
        completed: Successful responses whose last byte arrived in this second, including the warm-up.
        duration: done − (ready if the connection is new, else started). It is ready when it is
            connected and, with TLS, the TLS handshake is over as well.
        response_time: done − due.
        connect: connected − started, new connections only; TCP alone.
        tls: ready − connected, new connections with TLS only.
        dispatch_delay: started − due, of every request taken up.
        lateness: The generator's own part of `dispatch_delay`, where requests may also wait for a free slot
            (``when_full: queue``): started − the later of due and when the slot became free. Empty where
            the two are the same.
        parts: Of a mix: name of a request to what belongs to it; `in_flight`, `cpu_s` and `lateness` are
            known of the whole only.
        first_byte: first byte − (ready if the connection is new, else started).
        statuses: Status code to count, of `bad_status` failures; 0 is every further code of a server that
            sends very many.
        samples: Responses that did not succeed, each the first of its kind that a worker received.
    """

    index: int
    scheduled: int = 0
    sent: int = 0
    succeeded: int = 0
    dropped: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    completed: int = 0
    in_flight: int = 0
    duration: Histogram = EMPTY
    response_time: Histogram = EMPTY
    connect: Histogram = EMPTY
    tls: Histogram = EMPTY
    dispatch_delay: Histogram = EMPTY
    first_byte: Histogram = EMPTY
    cpu_s: Seconds = 0.0
    lateness: Histogram = EMPTY
    parts: Mapping[str, LoadSecond] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    samples: tuple[ResponseSample, ...] = ()


class ConnectionCounts(Struct, frozen=True):
    """What happened to the connections of a stage, those of the warm-up included.

    Attributes:
        opened: By the engine.
        closed_by_server: Those that could have carried another request, and were closed by the server, or
            announced to be. Always 0 if each request is to use a new one.
    """

    opened: Annotated[int, Meta(ge=0, le=10**15)]
    closed_by_server: Annotated[int, Meta(ge=0, le=10**15)]


class Backlog(Struct, frozen=True):
    """What tells a growing backlog from responses that simply take long; see `runner.analyze.achieved`.

    Attributes:
        beginning_s: Length of the measured window's beginning: 0.5 % of it, or the gap between two arrivals
            if that is longer.
        fastest_first_s: The shortest response time of an ended request that was due in the beginning; if
            there was none, that of the one due first.
        late: Of requests due in the window that succeeded after its end: how long after it.
        sums: Over requests due in the window that ended, successful or not: their number, and the sums of
            x, y, x², xy and y², where x is when a request was due, in seconds since the window began, and y
            its response time in seconds.
    """

    beginning_s: Seconds
    fastest_first_s: Seconds
    late: Histogram
    sums: tuple[int, float, float, float, float, float]


class PartFacts(Struct, frozen=True, omit_defaults=True):
    """What is known of one request of a mix beside its part of every second.

    Attributes:
        planned: Its requests due in the measured window.
        share: Its share of all requests, 0 to 1.
        backlog: As of the whole.
        stated_ms: As of the whole.
    """

    planned: int
    share: float
    backlog: Backlog | None = None
    stated_ms: Mapping[str, Mapping[str, float | None] | None] | None = None


class LoadFacts(Struct, frozen=True, omit_defaults=True):
    """What the engine offered and what came back.

    Latency histograms hold successful requests only; `dispatch_delay` holds all requests taken up.

    Attributes:
        planned: Requests due in the whole measured window.
        seconds: In order of index, drain included.
        complete: False when the stage was cut short; `planned` then exceeds the sum of `scheduled`.
        clock: Which clock timed the responses, as a phrase for the appendix.
        lost_workers: One sentence per worker that died, hung or fell behind; such a stage is invalid.
        engine_version: Of an engine that is a program of its own, such as ``2.0.0``; else empty.
        stated_ms: For an engine that keeps no histograms (k6): ``duration`` and the like to
            ``mean``, ``p50`` ... ``max`` in milliseconds as the engine reports them, None for
            what it cannot know. When present it replaces the histograms of `seconds`.
        connections: None of an engine that does not count them.
        backlog: None of an engine that does not know when requests were due.
        parts: Of a mix: name of a request to what is known of it; empty for one request.
    """

    engine: str
    workers: int
    planned: int
    seconds: tuple[LoadSecond, ...]
    complete: bool
    clock: str
    lost_workers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine_version: str = ""
    stated_ms: Mapping[str, Mapping[str, float | None] | None] | None = None
    connections: ConnectionCounts | None = None
    backlog: Backlog | None = None
    parts: Mapping[str, PartFacts] = field(default_factory=dict)


class Window(Struct, frozen=True, omit_defaults=True):
    """When a trial's parts happen, on CLOCK_MONOTONIC.

    Attributes:
        start_ns: The first arrival is due; the warm-up begins.
        measure_ns: The measured window begins.
        end_ns: The measured window ends; late responses may still arrive.
    """

    start_ns: Nanoseconds
    measure_ns: Nanoseconds
    end_ns: Nanoseconds


class Event(Struct, frozen=True, omit_defaults=True):
    """Something that happened in a trial and is not a request.

    Attributes:
        code: ``app-died``, ``stack-failed``, ``aborted``, ``generator-lost`` or ``out-of-memory``.
        t_s: Seconds since the measured window began, None when it happened outside a stage.
        log: The last lines of output that explain it.
    """

    code: str
    message: str
    t_s: Seconds | None = None
    log: tuple[str, ...] = ()


class Spacing(Struct, frozen=True, omit_defaults=True):
    """The gaps between requests at their receiver, by the kernel's receive timestamps.

    Attributes:
        error_p50_us: Median of |observed gap − planned gap|; includes batching by a quantum.
        error_p99_us: 99th percentile of the same.
    """

    planned_gap_us: float
    median_gap_us: float
    error_p50_us: float
    error_p99_us: float


class Floor(Struct, frozen=True, omit_defaults=True):
    """The generator's baseline at one rate, against a server that does nothing.

    Attributes:
        achieved: Successful responses in the window ÷ planned requests.
        duration_ms: ``p50``, ``p95``, ``p99``, as `dispatch_delay_ms`; empty without any success.
        cpu_us_per_request: CPU of all workers, None when nothing was sent.
        spacing: None when too few requests arrived, or gaps could not be paired with planned ones.
    """

    target_rps: PerSecond
    achieved: float
    duration_ms: Mapping[str, float]
    dispatch_delay_ms: Mapping[str, float]
    cpu_us_per_request: float | None
    spacing: Spacing | None


class Calibration(Struct, frozen=True, omit_defaults=True):
    """The generator's own error on this host, for one way of offering load.

    Attributes:
        made_at: UTC, ISO 8601 with seconds.
        floors: One per rate, ascending.
        ceiling_rps: Requests per second that reached the no-op server when more were due; None for an
            engine whose ceiling is not measured (k6).
    """

    made_at: str
    connection: str
    workers: int
    floors: tuple[Floor, ...]
    ceiling_rps: PerSecond | None
    engine: str = "builtin"


class ImageFacts(Struct, frozen=True, omit_defaults=True):
    """A container image that was used.

    Attributes:
        id: The engine's own digest of its configuration.
        digest: The registry's digest of its manifest; None for an image that was built here.
        stands_in_for: The image that the specification names, where this one replaces it.
    """

    name: str
    id: str
    digest: str | None
    stands_in_for: str | None = None


class BuildFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A folder that an image was built from.

    Attributes:
        content: SHA-256 of everything in it; None where it is not known.
    """

    folder: str | None
    content: str | None = None
    base: ImageFacts | None


class EngineFacts(Struct, frozen=True):
    """The Docker Engine: its version and that of its API."""

    version: str
    api: str


class LimitFacts(Struct, frozen=True):
    """What a container may use, None for no limit: CPUs, and memory in MiB."""

    cpus: float | None
    memory_mib: float | None


class ProxyFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The proxy in front of the app.

    Attributes:
        keepalive: Idle connections to the app that each worker keeps, 0 for none.
        connections: Of one worker, at most.
        backlog: Length of its accept queue.
    """

    kind: str
    version: str | None
    keepalive: int
    workers: int | Literal["auto"]
    connections: int | None = None
    backlog: int


class ServiceFacts(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A service beside the app: a database, a cache, an upstream.

    Attributes:
        origin: ``started`` by this run (topology.services), part of the user's ``compose`` file, or
            ``watched``: it ran already.
        command: Of a process, what it was started with.
        image: Of a container.
        port: The port that it listens on, in its own network namespace.
        limits: Of a container.
        replicas: How many containers or processes it has.
        pids: Its processes when the run began, of a watched one.
        env_names: Names of the environment variables that it is given; values may be secrets.
        build: What its image was built from.
        files: Path in the specification to the SHA-256 of what is mounted into it.
    """

    origin: Literal["started", "compose", "watched"]
    command: tuple[str, ...] | None = None
    image: ImageFacts | None = None
    port: int | None = None
    limits: LimitFacts | None = None
    replicas: int = 1
    pids: tuple[int, ...] | None = None
    env_names: tuple[str, ...] = ()
    build: BuildFacts | None = None
    files: Mapping[str, str] | None = None


class ProgramIdentity(Struct, frozen=True, omit_defaults=True):
    """What a process ran when its stack was up; digests are SHA-256, empty where nothing could be read.

    Attributes:
        name: Of the process.
        program: Digest of its executable file.
        code: Digest of the scripts, modules and archives that its arguments name.
        packages: Digest of the lists of what is installed in its environment.
        commit: Of the repository that it was started in.
        changes: Digest of how the files there differ from the commit; empty if they do not.
    """

    name: str = ""
    program: str = ""
    code: str = ""
    packages: str = ""
    commit: str = ""
    changes: str = ""


class SystemDescription(Struct, frozen=True, omit_defaults=True):
    """The system that was built, without secrets; fields that do not apply to its kind are absent.

    Other packages read its fields and never depend on the kind of topology.

    Attributes:
        pids: Its processes, where the specification names them.
        address: The address that its name was resolved to; with several in `addresses`, the first.
        addresses: All addresses that load is spread over, where there are several.
        unused_addresses: Other addresses of its name, which receive no load.
        certificate: ``checked`` or ``not checked``, of a service with TLS.
        command: Arguments that one replica was started with.
        replicas: How many processes or containers of the app there are.
        health: Path of the readiness check.
        network: ``bridge`` or ``host``, of containers.
        publish: ``port`` or ``container``, how containers are reached; null on the host network.
        env_names: Names of the environment variables that the app is given; values may be secrets.
        cpus: Processors that the stack is bound to.
        services: Name to service, in the order in which they were started.
        files: The compose files as in the specification.
        programs: Name of a subject that is a process to what it ran.
    """

    kind: str = ""
    url: str | None = None
    pids: tuple[int, ...] | None = None
    address: str | None = None
    addresses: tuple[str, ...] | None = None
    unused_addresses: tuple[str, ...] | None = None
    certificate: Literal["checked", "not checked"] | None = None
    command: tuple[str, ...] | None = None
    engine: EngineFacts | None = None
    replicas: int | None = None
    urls: tuple[str, ...] | None = None
    health: str | None = None
    network: Literal["bridge", "host"] | None = None
    publish: Literal["port", "container"] | UnsetType | None = UNSET
    images: Mapping[str, ImageFacts] | None = None
    limits: LimitFacts | None = None
    env_names: tuple[str, ...] | None = None
    cpus: tuple[int, ...] | None = None
    build: BuildFacts | None = None
    proxy: ProxyFacts | None = None
    services: Mapping[str, ServiceFacts] | None = None
    files: tuple[str, ...] | None = None
    programs: Mapping[str, ProgramIdentity] | None = None


TrialStatus: TypeAlias = Literal["complete", "failed", "aborted"]
HostFact: TypeAlias = str | bool | int | float | None
"""A fact of the host; None where it could not be read."""


class TrialFacts(Struct, frozen=True, omit_defaults=True):
    """One stage of one configuration, run once.

    Attributes:
        repeat: Counts from 1.
        order: The trial's place in the run, from 0.
        started_at: UTC, ISO 8601 with seconds.
        target_rps: Requests offered per second; of a ramp, the average over the window; None with users.
        users: How many users there were in the closed model, or how their number changed over the window.
        ramp: How the rate changed over the window; None for a constant one.
        status: ``failed`` when the system under test died, ``aborted`` on a signal.
        load: None when the stage could not begin, as `observed`.
        events: In time order.
        proves: Order of the trial whose verdict this counter-experiment is about.
        change: Name of its change in `runner.experiment.counter_experiments`.
        block: Its place among the blocks of the counter-experiment, from 0; None in runs of versions that
            ran a single one.
        app_output: The last lines that the app had written at the end of a stage with 5xx responses.
    """

    configuration: str
    stage: str
    repeat: int
    order: int
    started_at: str
    target_rps: PerSecond | None
    warmup_s: Seconds
    window_s: Seconds
    status: TrialStatus
    load: LoadFacts | None
    observed: ObservedFacts | None
    events: tuple[Event, ...] = ()
    topology: SystemDescription | None = None
    calibration: Calibration | None = None
    proves: int | None = None
    change: str = ""
    app_output: tuple[str, ...] = ()
    ramp: Ramp | None = None
    users: int | Ramp | None = None
    block: int | None = None


class VariableFacts(Struct, frozen=True, omit_defaults=True):
    """Where the values of a variable came from; of a secret, the name alone.

    Attributes:
        kind: The key of its source in the specification, such as ``csv`` or ``int``.
        source: The file as in the specification, or the command; empty for other kinds.
        order: Of rows: ``sequential``, ``random`` or ``once``.
        rows: How many there were; None for other kinds.
    """

    name: str
    kind: str
    source: str = ""
    order: str = ""
    rows: int | None = None


class HookFacts(Struct, frozen=True, omit_defaults=True):
    """A hook that ran.

    Attributes:
        configuration: Its name.
        phase: The key of its list in the specification, such as ``setup``.
        number: Its place in the list, from 1.
        what: What it does, in one line, variables not replaced: ``./seed.sh``, ``POST /orgs``.
        seconds: How long it took.
        status: ``done``; ``failed``; ``skipped``, because a value that it needs was not extracted; or
            ``ended`` by a signal or because the system failed.
        reason: Why it is not done, as a clause.
        trial: Number of the trial that it ran before, in the order of the run; None for other phases.
    """

    configuration: str
    phase: Literal["setup", "before_trial", "teardown"]
    number: Annotated[int, Meta(ge=1, le=1000)]
    what: str
    seconds: Annotated[Seconds, Meta(ge=0, le=10**6)]
    status: Literal["done", "failed", "skipped", "ended"] = "done"
    reason: str = ""
    trial: int | None = None


class RunFacts(Struct, frozen=True, omit_defaults=True):
    """The run around its trials.

    Attributes:
        run_id: Unique; part of every name and label that this run created.
        started_at: UTC, ISO 8601 with seconds.
        finished_at: None while it runs.
        command: The command line that repeats this run.
        overrides: ``path=value`` of every --set, in order.
        status: ``complete``, or ``aborted`` by `signal` or `error`.
        signal: ``SIGINT`` or ``SIGTERM`` when aborted by one.
        environment: Host facts; keys end in their unit where they have one.
        error: The fault that ended the run early, as one sentence.
        resumed_at: When the run was resumed after a crash, as `started_at`.
        files_outside: The paths, as in the specification, of files that requests send and that are outside
            its folder.
        files_with_secrets: The paths of files, and the commands, whose content has a secret in it and is
            therefore kept nowhere.
        variables: Those of each configuration that has any, by its name.
        hooks: Those that ran, in order; of many, the last ones.
    """

    run_id: str
    started_at: str
    finished_at: str | None
    command: str
    overrides: tuple[str, ...]
    status: Literal["complete", "aborted"]
    signal: str | None
    environment: Mapping[str, HostFact]
    error: str | None = None
    resumed_at: tuple[str, ...] = ()
    files_outside: tuple[str, ...] = ()
    files_with_secrets: tuple[str, ...] = ()
    variables: Mapping[str, tuple[VariableFacts, ...]] = field(default_factory=dict)
    hooks: tuple[HookFacts, ...] = ()
