"""What happened in a run, as frozen data without I/O.

`TrialFacts` holds everything known about one trial. The journal stores it, and `runner.analyze` reads nothing
else about what happened, so a report can be made again from it alone. The modules beside this one whose names
end in ``_facts`` have its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from runner.core.calibration_facts import Calibration
from runner.core.load_facts import LoadFacts
from runner.core.observed_facts import ObservedFacts
from runner.core.ramp import Ramp
from runner.core.system_facts import SystemDescription
from runner.core.units import Nanoseconds, PerSecond, Seconds


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
        node: Where it happened, if that is a node of a swarm and the message names it; else empty.
    """

    code: str
    message: str
    t_s: Seconds | None = None
    log: tuple[str, ...] = ()
    node: str = ""


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
        users_per_s: Of scenarios in the open model: how many users started per second, or how that changed.
        ramp: How the rate changed over the window; None for a constant one.
        status: ``failed`` when the system under test died, ``aborted`` on a signal.
        load: None when the stage could not begin, as `observed`.
        events: In time order.
        proves: Order of the trial whose verdict this counter-experiment is about.
        change: Name of its change in `runner.experiment.counter_experiments`.
        block: Its place among the blocks of the counter-experiment, from 0; None in runs of versions that
            ran a single one.
        app_output: The last lines that the app had written at the end of a stage with 5xx responses.
        proxy_errors: The last messages of the proxy's error log, if requests were refused.
        window_at: When the measured window began: UTC, ISO 8601 with milliseconds; empty if it did not, and
            in runs of versions that did not record it.
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
    proxy_errors: tuple[str, ...] = ()
    ramp: Ramp | None = None
    users: int | Ramp | None = None
    block: int | None = None
    users_per_s: PerSecond | Ramp | None = None
    window_at: str = ""


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
        status: ``complete``, or ``aborted`` by `signal` or `error`; ``unfinished`` until it ends, and for
            ever if it was killed. Earlier versions wrote ``complete`` then.
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
    status: Literal["unfinished", "complete", "aborted"]
    signal: str | None
    environment: Mapping[str, HostFact]
    error: str | None = None
    resumed_at: tuple[str, ...] = ()
    files_outside: tuple[str, ...] = ()
    files_with_secrets: tuple[str, ...] = ()
    variables: Mapping[str, tuple[VariableFacts, ...]] = field(default_factory=dict)
    hooks: tuple[HookFacts, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end, which a run that was killed did not."""
        return self.finished_at is not None and self.status != "unfinished"
