"""What was measured: of a whole stage, of a slice of a ramp, and of one request or scenario of several."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, UnsetType

from runner.core.codes import Unbounded
from runner.core.load_facts import ResponseSample
from runner.core.ramp import Ramp
from runner.core.result_values import Count, Number, Role, Word


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


class Scenarios(Struct, frozen=True):
    """What happened to the runs of scenarios that were due in the measured window; a run is one user's.

    Attributes:
        scheduled: Came due: the sum of `started` and `dropped` in a stage that ran to its end. In the closed
            model, those that were started.
        started: The sum of `completed`, `failed` and `unfinished` in such a stage.
        completed: Did every step without a failure.
        failed: Ended at a step that failed.
        unfinished: Were under way when the window ended, and did not end within the timeout after it.
        dropped: Were never started.
        failures: Failure kind to count, of `failed`.
    """

    scheduled: Count
    started: Count
    completed: Count
    failed: Count
    unfinished: Count
    dropped: Count
    failures: dict[Word, Count]

    @property
    def lost(self) -> int:
        """Runs that came due and did not complete."""
        return self.failed + self.unfinished + self.dropped


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


NO_LATENCY: Final = Latency()
"""Of what was not measured."""


class Measured(Struct, frozen=True, kw_only=True):
    """What was measured of a whole stage, or of one part of it such as one request of several.

    Attributes:
        actual_rps: Successful responses completed in the window ÷ its seconds; None without any data.
        achieved: Share of the requests due in the window that the service sustained, 0 to 1: 1 if all succeed
            in time, capacity ÷ target rate under overload. `runner.analyze.achieved` has the rule. With
            scenarios, the share of their runs due; None of a single step.
        duration_ms: done − (ready if the connection is new, else started).
        response_time_ms: done − due.
        connect_ms: connected − started, new connections only.
        tls_ms: ready − connected, new connections with TLS only.
        dispatch_delay_ms: started − due.
        first_byte_ms: first byte − (ready if the connection is new, else started).
        distribution: Pairs of percentile and response time in ms; None where no histogram is known.
        variation: Of a mix: key metric to how much it varied in the window, as of `runner.analyze.variation`;
            empty of a single request.
        scenarios: Runs of scenarios; None without scenarios, and of a single step.
        scenarios_per_s: Runs completed in the window ÷ its seconds; None as `scenarios`.
        scenario_duration_ms: End of the last step − due, pauses included; in the closed model a run is due
            when it starts. Percentiles are those of all runs due.
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
    scenarios: Scenarios | None = None
    scenarios_per_s: Number | None = None
    scenario_duration_ms: Latency = NO_LATENCY


class Slice(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured in one slice of a ramp.

    A request belongs to the slice in which it ended; one that ended after the window, to the last slice.

    Attributes:
        begin_s: Seconds after the start of the measured window.
        level: The rate, or the number of users, at both ends of the slice.
        due: Requests that came due in the slice.
        requests: Those that ended in the slice; `scheduled` and `sent` count these as well.
        achieved: Always None: of a slice, it would depend on when the requests of the one before end.
        cpu_cores: Role to the CPU cores that it used in the slice; empty where none was observed, of one part
            of a mix, and in results of versions before 0.2.
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
    cpu_cores: dict[Role, Number] = {}


class Part(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of one request of several, of one scenario, or of one of its steps.

    Attributes:
        target_rps: Its share of the stage's rate; None with users and with scenarios.
        samples: As of the whole.
        slices: As of the whole; their levels are those of the stage.
        scenario: Of a step: the name of its scenario; absent otherwise.
        time_share: Of a step: its share of the time that the scenario's successful requests took, 0 to 1;
            pauses are no part of it. None where nothing succeeded.
        ended_users: Of a step: users whose run of the scenario ended here by a failure.
        users_per_s: Of a scenario: its share of the stage's rate of users; None with a number of users.
    """

    target_rps: Number | None
    samples: tuple[ResponseSample, ...] = ()
    slices: tuple[Slice, ...] = ()
    scenario: Word | UnsetType = UNSET
    time_share: Number | None = None
    ended_users: Count | None = None
    users_per_s: Number | None = None
