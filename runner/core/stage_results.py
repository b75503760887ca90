"""One stage: its numbers, what limits it, and its counter-experiments."""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from runner.core.codes import Cause, Confidence, Limit, ProofAnswer, StageStatus
from runner.core.findings import Finding, RuledOut
from runner.core.judgements import Probe, StageValidity, ThresholdResult
from runner.core.load_facts import ConnectionCounts, DropCauses, ResponseSample
from runner.core.measured import Measured, Part, Slice
from runner.core.node_results import NodeResults
from runner.core.observed_results import (
    CounterReading,
    Moment,
    PeerUsage,
    ProgramUsage,
    StageCalibration,
    StageEvent,
    SubjectUsage,
    ThrottlingShare,
    UnreadableCounter,
    Usage,
)
from runner.core.ramp import Ramp
from runner.core.result_values import Count, Number, PartName, Role, Sentence, Text, Word


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
    def node(self) -> str | None:
        """The node that the limit is on; None on one machine, and where it is on none in particular."""
        first = self.findings[0] if self.findings else None
        return (first.node or None) if first and first.code is self.code else None

    @property
    def name(self) -> str:
        """What people call it: its code, and the node that it is on."""
        return f"{self.code} on {self.node}" if self.node else self.code.value

    @property
    def service(self) -> str | None:
        """Name of the service that the limit is about; None if it is about none."""
        return (self.findings[0].service or None) if self.findings else None

    @property
    def experiments(self) -> tuple[CounterExperiment, ...]:
        """All counter-experiments, the one that decides first."""
        return (self.counter_experiment, *self.other_experiments) if self.counter_experiment else ()


class ObservedStage(Measured, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of a stage, with what was observed around it and concluded from it.

    Attributes:
        cpu_cores: Role to CPU cores; None for a role that was not observed.
        throttling_by_subject: Name to the cost of its CPU quota; subjects without a quota are absent.
        requests_by_subject: Name to the requests that it counted itself.
        cpu_us_per_request: Role to CPU time per successful response in the window, in µs.
        timeseries: One entry per second, the warm-up first.
        clock: Which clock timed the responses.
        calibration: The generator's own numbers at this rate; None without a calibration.
        notes: What else a reader should know, in sentences without a full stop.
        parts: Name of a request to what was measured of it alone; empty where there is only one. Of
            scenarios: the name of each to what was measured of all its requests, followed by its steps in
            their order, as ``scenario/step``.
        connections: Opened and closed ones; None where they were not counted.
        drops: Why requests were dropped, of scenarios users; None where it is not known.
        longest_stall_s: The longest time in which a worker of the generator did not run; 0 where that was too
            short to matter, or is not known.
        samples: The first response of each failure and status that did not succeed, in part.
        app_output: The last lines that the app had written at the end of a stage with 5xx responses.
        proxy_errors: The last messages of the proxy's error log, if requests were refused or got 5xx.
        ramp: How the rate changed over the window; absent where it was constant.
        users: Of the closed model: how many users sent requests, each waiting for its response. A ramp of
            users has the numbers at both ends of the window.
        users_per_s: Of scenarios in the open model: how many users start one per second, each at its time
            and independent of the others.
        slices: Of a ramp, in order of time; empty for a constant level.
        programs: The busiest programs outside the experiment, the one that used most CPU first.
        peers: What the system under test had connections to.
        nodes: Of a stage on several machines: each of them, by name. The fields above then have the sum over
            all machines for every role, but ``other`` and ``system`` only of the runner's own machine, and
            only if a part of the system ran there; `cpu_us_per_request` has all CPU time of all machines as
            ``system``. Counters and programs above are those of the runner's own machine.
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
    parts: dict[PartName, Part] = field(default_factory=dict)
    connections: ConnectionCounts | None = None
    drops: DropCauses | None = None
    longest_stall_s: Number = 0.0
    samples: tuple[ResponseSample, ...] = ()
    app_output: tuple[Text, ...] = ()
    proxy_errors: tuple[Text, ...] = ()
    ramp: Ramp | None = None
    users: Count | Ramp | None = None
    users_per_s: Number | Ramp | None = None
    slices: tuple[Slice, ...] = ()
    programs: tuple[ProgramUsage, ...] = ()
    peers: tuple[PeerUsage, ...] = ()
    nodes: tuple[NodeResults, ...] = ()

    @property
    def longest_stall_on(self) -> str:
        """The node whose worker did not run for `longest_stall_s`; empty on one machine, or if unknown."""
        made = {node.name: node.load.longest_stall_s for node in self.nodes if node.load}
        longest = max(made, key=lambda name: made[name], default="")
        return longest if made.get(longest) else ""

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
    sequences = ("counters", "unreadable", "timeseries", "nodes")
    empty: dict[str, object] = {name: {} for name in mappings} | dict.fromkeys(sequences, ())
    return empty | {"calibration": None, "connections": None, "drops": None, "longest_stall_s": 0.0}


_OF_PART: Final = ("target_rps", "samples", "slices")
"""Fields of a part that a stage has as well, beside those of `Measured`."""
_L = TypeVar("_L", float | Ramp | None, Ramp | None)


def _share_of(level: _L, part: float | None, whole: float | None) -> _L:
    """Return the share of a stage's level that a part has; all of it if the part has none of its own."""
    if part is None or not whole or level is None:
        return level
    share = part / whole
    return Ramp(level.begin * share, level.to * share) if isinstance(level, Ramp) else level * share


def stage_title(name: str, repeat: int) -> str:
    """Return what people call a stage: its name, with its repeat if it is not the first; 0 is the median."""
    if repeat == 1:
        return name
    return f"{name} (repeat {repeat})" if repeat else f"{name} (median)"


class Stage(ObservedStage, frozen=True, omit_defaults=True):
    """One stage of one configuration, run once.

    Attributes:
        target_rps: Requests offered per second; of a ramp, the average over the window; None with users
            and with scenarios, whose requests follow from what the users do.
        repeat: Counts from 1.
        order: Place in the run, from 0.
        events: In time order.
        window_at: When the measured window began, as of `runner.core.facts.TrialFacts`; absent where that is
            not known.
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
    window_at: Text | UnsetType = UNSET

    @property
    def title(self) -> str:
        """What people call it."""
        return stage_title(self.name, self.repeat)

    @property
    def rate(self) -> float:
        """The target rate, of requests or of users; 0 in the closed model, where nothing is sorted by it."""
        return self.target_rps or self.mean_users_per_s or 0.0

    @property
    def mean_users_per_s(self) -> float | None:
        """How many users started a scenario per second on average; None in the closed model."""
        return self.users_per_s.mean if isinstance(self.users_per_s, Ramp) else self.users_per_s

    @property
    def level_ramp(self) -> Ramp | None:
        """How its rate, its rate of users or its number of users changed; None for a constant level."""
        ramps = (self.users, self.users_per_s, self.ramp)
        return next((ramp for ramp in ramps if isinstance(ramp, Ramp)), None)

    @property
    def rate_ramp(self) -> Ramp | None:
        """How the rate of requests or of users changed; None for a constant rate, and in the closed model."""
        return None if isinstance(self.users, Ramp) else self.level_ramp

    @property
    def request_parts(self) -> dict[str, Part]:
        """Those of single requests, each of which has every request of the stage once: of a mix, or steps."""
        return {name: part for name, part in self.parts.items() if part.scenarios is None}

    @property
    def only_unfinished(self) -> bool:
        """Whether users were lost, all of them because they were still under way when the stage ended."""
        return self.scenarios is not None and 0 < self.scenarios.lost == self.scenarios.unfinished

    @property
    def scenario_parts(self) -> dict[str, Part]:
        """Those of whole scenarios."""
        return {name: part for name, part in self.parts.items() if part.scenarios is not None}

    def steps_of(self, scenario: str) -> dict[str, Part]:
        """Return the steps of a scenario that send requests, in their order."""
        return {name: part for name, part in self.parts.items() if part.scenario == scenario}

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
        """Return what was measured of one request or scenario, as a stage; without what only the whole has.

        Raises:
            KeyError: The stage has no such part.
        """
        own = tuple(threshold for threshold in self.thresholds if threshold.request == request)
        part = self.parts[request]
        values = {name: getattr(part, name) for name in (*Measured.__struct_fields__, *_OF_PART)}
        return replace(
            self,
            **_nothing_observed(),
            **values,
            ramp=_share_of(self.ramp, part.target_rps, self.target_rps),
            users_per_s=_share_of(self.users_per_s, part.users_per_s, self.mean_users_per_s),
            thresholds=own,
        )
