"""What was observed in a trial: CPU, memory, counters, other programs and connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from runner.core.codes import RoleName
from runner.core.units import Bytes, Seconds

SubjectKind: TypeAlias = Literal["tree", "process", "cgroup", "system"]

NETWORK_RECEIVED: Final = "net.received_bytes"
NETWORK_SENT: Final = "net.sent_bytes"
"""Counters of a network namespace: of its interfaces without loopback, of a machine those of its cards."""
LOOPBACK_BYTES: Final = "net.lo.bytes"
"""Counter of a network namespace: what its loopback interface carried, each byte once."""


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


class PlacedPart(Struct, frozen=True, omit_defaults=True):
    """One container of the system under test on a node of a cluster, which an agent on that node observes.

    Attributes:
        name: Name of its subject: ``app``, ``app-2``, ``nginx`` or that of a service; unique over all nodes.
        node: Name of the node.
        container_id: 64 hexadecimal digits.
        pid: Its first process, as the node numbers it.
        ports: Ports at which it listens, as far as they are known.
        metrics_url: Of its Prometheus metrics, as its node reaches it; empty for none.
        status_url: Likewise of nginx's stub_status.
    """

    name: str
    role: RoleName
    node: str
    container_id: str
    pid: int
    ports: tuple[int, ...] = ()
    metrics_url: str = ""
    status_url: str = ""


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
        from_s: When `before` was read, in seconds since the measured window began; None together with `to_s`
            where both were read at the ends of the window, as all are that the kernel keeps.
        to_s: When `after` was read.
    """

    scope: str
    name: str
    unit: str
    kind: Literal["counter", "gauge"]
    before: float
    after: float
    peak: float | None = None
    limit: float | None = None
    from_s: Seconds | None = None
    to_s: Seconds | None = None


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
        nodes: Of an experiment on several machines: node's name to what an agent observed there, complete in
            itself, with ``t_s`` on the runner's window; a node never contains nodes.
    """

    subjects: tuple[Subject, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    programs: tuple[Program, ...] = ()
    peers: tuple[Peer, ...] = ()
    nodes: Mapping[str, ObservedFacts] = field(default_factory=dict)
