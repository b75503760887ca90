"""What an engine offered in a trial, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from runner.core.histogram import EMPTY, Histogram
from runner.core.node_facts import NodeLoad
from runner.core.units import Seconds

FAILURE_KINDS: Final = (
    "connect_refused", "connect_timeout", "reset", "closed_early", "timeout", "bad_status", "bad_header",
    "bad_body", "extract_failed", "bad_redirect", "too_many_steps", "protocol", "no_port", "no_fd",
)  # fmt: skip
"""Why a request that was taken up did not succeed. `dropped` (never sent) is counted separately."""
UNFINISHED: Final = "unfinished"
"""Among the failures of scenarios: those under way when the stage ended that did not end in time."""
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
            where the status is not accepted, and in files of versions without it. Of a response that is no
            HTTP, why it is none.
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
        scenarios: Name of a scenario to what happened to its runs, in the same fields but counted in
            scenarios: came due, were started, completed, were never started, failed (by kind of the failure;
            `UNFINISHED` for those cut off after the window). `response_time` is the scenario's duration,
            end of its last step − due; `dispatch_delay` is started − due, `in_flight` how many are under way.
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
    scenarios: Mapping[str, LoadSecond] = field(default_factory=dict)


class ConnectionCounts(Struct, frozen=True, omit_defaults=True):
    """What happened to the connections of a stage, those of the warm-up included.

    Attributes:
        opened: By the engine.
        closed_by_server: Those that could have carried another request, and were closed by the server, or
            announced to be. Always 0 if each request is to use a new one.
        unasked: Those closed because the server had sent bytes that no request had asked for.
    """

    opened: Annotated[int, Meta(ge=0, le=10**15)]
    closed_by_server: Annotated[int, Meta(ge=0, le=10**15)]
    unasked: Annotated[int, Meta(ge=0, le=10**15)] = 0


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


class ScenarioFacts(Struct, frozen=True, omit_defaults=True):
    """What is known of a scenario beside its part of every second.

    Attributes:
        planned: Its runs due in the measured window; in the closed model, those started in it.
        share: Its share of all runs, 0 to 1.
        steps: Names of its steps that send requests, as keys of `parts`, in order.
        backlog: As of the whole, of runs and their durations.
    """

    planned: int
    share: float
    steps: tuple[str, ...]
    backlog: Backlog | None = None


class DropCauses(Struct, frozen=True, omit_defaults=True):
    """Why requests count as dropped, or users of scenarios, where it is not that `max_in_flight` was reached.

    Attributes:
        too_late: Never sent, because the generator did not run in their time.
        not_offered: Not sent, as far as is known, because their part of the generator ended before.
        unknown_end: Of a part of the generator that was lost, which may have sent them, and of which nothing
            more is known.
        no_virtual_user: Never sent, because k6 had no free virtual user and was adding one.
        cut_off: Under way when the stage ended early. The causes of others that were dropped in such a stage
            are not known.
    """

    too_late: Annotated[int, Meta(ge=0, le=10**15)] = 0
    not_offered: Annotated[int, Meta(ge=0, le=10**15)] = 0
    unknown_end: Annotated[int, Meta(ge=0, le=10**15)] = 0
    no_virtual_user: Annotated[int, Meta(ge=0, le=10**15)] = 0
    cut_off: Annotated[int, Meta(ge=0, le=10**15)] = 0

    @property
    def total(self) -> int:
        """How many were dropped for these causes."""
        known = self.too_late + self.not_offered + self.unknown_end
        return known + self.no_virtual_user + self.cut_off


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
        parts: Of a mix: name of a request to what is known of it; empty for one request. Of scenarios:
            ``scenario/step`` to it.
        scenarios: Name of a scenario to what is known of it.
        nodes: Where load came from several machines: each one's part, in the order of the workers.
        drops: Why requests were dropped, of scenarios users; None where it is not known.
        longest_stall_s: The longest time in which a worker that went on afterwards did not run; 0 where that
            was too short to matter, or is not known.
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
    scenarios: Mapping[str, ScenarioFacts] = field(default_factory=dict)
    nodes: tuple[NodeLoad, ...] = ()
    drops: DropCauses | None = None
    longest_stall_s: Seconds = 0.0
