"""Version 1 of the specification as frozen models.

Field names are the keys of the YAML file. Parsed times are seconds and parsed sizes are bytes;
`runner.experiment.quantities` converts ``30s`` and ``256MiB``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, ModelWrapValidatorHandler, Tag, ValidationInfo, model_validator

from runner.core.codes import Limit
from runner.core.metrics import find_metric, service_of
from runner.core.units import Seconds
from runner.experiment.app import App, Proxy
from runner.experiment.base_model import ROWS, Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.expect import Expect
from runner.experiment.fields import Line, Name, Single, Text, Whole
from runner.experiment.find import Find, FindStage
from runner.experiment.load_nodes import load_node_conflicts, metrics_of_one_machine
from runner.experiment.matrix import MAX_CELLS
from runner.experiment.quantities import HOUR, MINUTE, Time
from runner.experiment.request import NamedRequest, Request
from runner.experiment.row_limits import row_conflicts
from runner.experiment.stage import Stage, without_schedule
from runner.experiment.started_topology import DockerTopology, ProcessTopology
from runner.experiment.suggestions import did_you_mean, display, join_words, slug
from runner.experiment.thresholds import Threshold, metric_hint
from runner.experiment.topology import Topology
from runner.experiment.traffic import Load
from runner.experiment.url import host_of, is_loopback, literal
from runner.experiment.variables import ReadRows, extracting, used

if TYPE_CHECKING:
    from runner.experiment.hooks import Hooks as _Hooks
else:  # the program starts faster without these models and what checks them
    _Hooks = Annotated[Any, WhenUsed("runner.experiment.hooks", "Hooks")]

__all__ = [
    "AnyStage", "App", "Configuration", "DockerTopology", "Expect", "Experiment", "Find",
    "FindStage", "Load", "Metrics", "NamedRequest", "ProcessTopology", "Proxy", "Request", "Stage",
    "Threshold", "Topology",
]  # fmt: skip

MAX_CONFIGURATIONS: Final = 64

ExpectedLimit: TypeAlias = Literal[
    Limit.WITHIN_CAPACITY, Limit.APP_CPU, Limit.APP_QUOTA, Limit.APP_CONCURRENCY, Limit.PROXY_CPU,
    Limit.FORWARDER, Limit.HOST_CPU, Limit.CONNECTION, Limit.ERROR, Limit.MEMORY, Limit.SERVICE, Limit.POOL,
    Limit.IO,
]  # fmt: skip
"""The verdicts that a hypothesis can name."""

STAGE_TAGS: Final[Mapping[type[SpecModel], str]] = {Stage: "#rate", FindStage: "#search"}
"""Tags that cannot be keys, because an error's location contains both."""


def _stage_tag(value: Any) -> str:
    finds = "find" in value if isinstance(value, dict) else isinstance(value, FindStage)
    return STAGE_TAGS[FindStage if finds else Stage]


AnyStage: TypeAlias = Annotated[
    Annotated[Stage, Tag(STAGE_TAGS[Stage])] | Annotated[FindStage, WhenUsed(), Tag(STAGE_TAGS[FindStage])],
    Discriminator(_stage_tag),
]


class Metrics(SpecModel):
    """How often CPU and memory are sampled."""

    interval: Annotated[Seconds, Time(min_s=0.02, max_s=10)] = Field(
        0.2, description="Time between two samples of the CPU and memory counters."
    )
    peak_window: Annotated[Seconds, Time(min_s=0.02, max_s=MINUTE)] = Field(
        1.0, description="A peak is the highest average over a window of this length."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        too_short = self.peak_window < self.interval
        refuse(conflict_if(too_short, ("peak_window",), "should be at least metrics.interval"))
        return self


class Configuration(SpecModel):
    """One system under test and how it is loaded, merged with the shared keys."""

    name: Name = Field(description="Unique name; part of container names.", examples=["keep-alive"])
    title: Line | None = Field(None, description="Heading in the report; defaults to the name.")
    topology: Topology = Field(
        description="The system to build.", examples=[{"kind": "external", "url": "http://127.0.0.1:8080"}]
    )
    load: Load = Field(
        default_factory=dict, validate_default=True, description="Requests, connections and load generator."
    )
    stages: tuple[AnyStage, ...] = Field(
        min_length=1,
        max_length=1000,
        description="Traffic levels, run one after another against the same stack.",
        examples=[[{"rps": 1000, "duration": "30s", "warmup": "5s"}]],
    )
    cooldown: Annotated[Seconds, Time(max_s=HOUR, zero=True)] = Field(
        2.0, description="Pause between two trials."
    )
    fresh_stack: Annotated[bool, Field(strict=True)] = Field(
        False, description="Start a new stack for every stage; the probes of a search share one."
    )
    metrics: Metrics = Field(
        default_factory=dict, validate_default=True, description="Sampling of CPU and memory."
    )
    hypothesis: ExpectedLimit | None = Field(
        None, description="The limit you expect; the report states whether it was confirmed or refuted."
    )
    prove: Annotated[bool, Field(strict=True)] = Field(
        False, description="Run a counter-experiment for each stage that reached a limit."
    )
    thresholds: tuple[Annotated[Threshold, WhenUsed()], ...] = Field(
        (), max_length=100, description="Checked against every stage; exit code 99 when one fails."
    )
    hooks: _Hooks | None = Field(
        None, description="Commands and requests before and after the load, such as to fill a database."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _with_extracted_names(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate while the load may use the names that hooks extract."""
        hooks = data.get("hooks") if isinstance(data, dict) else getattr(data, "hooks", None)
        if not hooks:
            return handler(data)
        from runner.experiment.hook_values import extracted_names  # noqa: PLC0415  (only for hooks)

        with extracting(extracted_names(hooks)):
            return handler(data)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        duplicates = _duplicate_names(
            "stages", [stage.name for stage in self.stages], "give each stage a different 'name'"
        )
        searching = self.load.cross_check and any(isinstance(stage, FindStage) for stage in self.stages)
        message = "cross_check cannot be combined with a stage that has 'find'"
        cross_check = conflict_if(searching, ("load", "cross_check"), message)
        refuse(
            *duplicates,
            _remote_host_conflict(self.topology, self.load),
            _resolve_conflict(self.topology, self.load),
            *load_node_conflicts(self.topology, self.load),
            *metrics_of_one_machine(self.topology, self._selectors()),
            cross_check,
            *self._unknown_requests(),
            *self._level_conflicts(),
            *self._unknown_services(),
            *self._closed_model_conflicts(),
            *self._unmeasured_by_k6(),
            *self._hook_conflicts(),
        )
        return self

    def _hook_conflicts(self) -> Iterator[Conflict | None]:
        """Yield what is wrong with the hooks."""
        if self.hooks is not None:
            from runner.experiment.hook_values import conflicts  # noqa: PLC0415  (only for hooks)

            system = self.topology
            yield from conflicts(self.hooks, self.load.variables, system.part_names, system.known_services)

    @property
    def used_names(self) -> set[str]:
        """The names of the variables that requests and hooks insert."""
        names = set(used(self.load.parts))
        if self.hooks is not None:
            from runner.experiment.hook_values import used_names  # noqa: PLC0415  (only for hooks)

            names |= used_names(self.hooks)
        return names

    def _closed_model_conflicts(self) -> Iterator[Conflict | None]:
        """Yield what a configuration with users cannot have."""
        closed = [
            (at, stage) for at, stage in enumerate(self.stages) if isinstance(stage, Stage) and stage.users
        ]
        if not closed:
            return
        for index, threshold in enumerate(self.thresholds):
            yield without_schedule(threshold, ("thresholds", index))
        load = self.load
        for at, stage in closed:
            place = ("stages", at, "users")
            few = stage.most_users > load.max_in_flight
            message = f"{stage.level} need load.max_in_flight of at least {stage.most_users:,}"
            yield conflict_if(few, place, message, f"it is {load.max_in_flight:,}")
        if len(closed) == len(self.stages):
            yield from self._keys_of_rates()

    def _unmeasured_by_k6(self) -> Iterator[Conflict]:
        """Yield each threshold that no stage could pass, because k6 does not measure its metric."""
        if self.load.engine == "k6":
            from runner.experiment.k6_limits import unmeasured_thresholds  # noqa: PLC0415  (few use k6)

            yield from unmeasured_thresholds(self._selectors())

    def _level_conflicts(self) -> Iterator[Conflict | None]:
        """Yield each stage whose level does not fit to what the load sends."""
        if self.load.scenarios:
            from runner.experiment.scenario_stages import stage_conflicts  # noqa: PLC0415  (only for scenarios)

            yield from stage_conflicts(self)
            return
        for index, stage in enumerate(self.stages):
            searched = isinstance(stage, FindStage)
            of_users = stage.find.max_users_per_s if isinstance(stage, FindStage) else stage.users_per_s
            at, key = (("find", "max_users_per_s"), "max_rps") if searched else (("users_per_s",), "rps")
            message = "starts scenarios, but load has none"
            hint = f"write {key}: requests per second, or add load.scenarios"
            yield conflict_if(of_users is not None, ("stages", index, *at), message, hint)

    def _keys_of_rates(self) -> Iterator[Conflict]:
        """Yield a conflict for each key that says when requests are due, which no request of a user is."""
        for key in ("arrivals", "when_full", "quantum"):
            value = getattr(self.load, key)
            if value != Load.model_fields[key].default:
                message = "has no effect, because all stages have users"
                rate = "users_per_s" if self.load.scenarios else "rps"
                yield Conflict(("load", key), message, f"remove it, or add a stage with {rate}")

    @property
    def load_nodes(self) -> int | tuple[str, ...] | None:
        """The number of nodes that send the load, or their constraints; None for this machine."""
        return self.load.nodes or (1 if self.topology.needs_load_nodes else None)

    def criteria_of(self, stage: Stage) -> tuple[Threshold, ...]:
        """Return the thresholds that a stage is checked against."""
        return (*self.thresholds, *stage.thresholds)

    def _selectors(self) -> Iterator[tuple[tuple[str | int, ...], Threshold]]:
        """Yield every threshold and where it is."""
        for index, threshold in enumerate(self.thresholds):
            yield ("thresholds", index), threshold
        for index, stage in enumerate(self.stages):
            key, thresholds = stage.located_thresholds
            for at, threshold in enumerate(thresholds):
                yield ("stages", index, *key, at), threshold

    def _unknown_requests(self) -> Iterator[Conflict]:
        """Yield a conflict for each threshold about something that the load does not have."""
        if self.load.scenarios:
            from runner.experiment.scenario_stages import unknown_parts  # noqa: PLC0415  (only for scenarios)

            yield from unknown_parts(self.load, self._selectors())
            return
        known = [request.name for request in self.load.requests]
        for at, threshold in self._selectors():
            name = threshold.request
            metric = find_metric(threshold.metric)
            if threshold.selects_scenario or (metric is not None and metric.scenarios_only):
                message = "there are no scenarios in load, which this threshold is about"
                yield Conflict(at, message, "remove it, or add load.scenarios")
            elif name and not known:
                hint = "name the requests in load.requests, or remove the selector"
                yield Conflict(at, f"there is no request '{name}', because load has no requests", hint)
            elif name and name not in known:
                hint = did_you_mean(name, known) or f"requests are {join_words(known, 'and')}"
                yield Conflict(at, f"there is no request '{name}' in load.requests", hint)

    def _unknown_services(self) -> Iterator[Conflict]:
        """Yield a conflict for each threshold about a service that the topology does not have."""
        known = self.topology.service_names
        if known is None:
            return
        for at, threshold in self._selectors():
            service = service_of(threshold.metric)
            if service is not None and service not in known:
                hint = metric_hint(threshold.metric, known)
                yield Conflict(at, f"unknown metric {display(threshold.metric)}", hint)


def _remote_host_conflict(topology: Topology, load: Load) -> Conflict | None:
    """Return the problem with a remote address that is not allowed; names are resolved at run time."""
    if topology.external_url is None:
        return None
    host = host_of(topology.external_url)
    if literal(host) is None or is_loopback(host) or host in load.allow_hosts:
        return None
    hint = f'if you are authorized to put load on it, add allow_hosts: ["{host}"] to load, and run with '
    message = f"{host} is a remote host that load.allow_hosts does not list"
    return Conflict(("topology", "url"), message, f"{hint}--i-am-authorized")


def _resolve_conflict(topology: Topology, load: Load) -> Conflict | None:
    """Return the problem with spreading load over several addresses by an engine that uses one."""
    k6 = load.engine == "k6" or load.cross_check
    subject = "engine k6" if load.engine == "k6" else "cross_check uses engine k6, which"
    hint = "remove 'resolve', or use engine builtin without cross_check"
    message = f"{subject} connects to one address only"
    return conflict_if(topology.resolve == "all" and k6, ("topology", "resolve"), message, hint)


class Experiment(SpecModel):
    """One YAML file, resolved: every configuration is complete."""

    version: Literal[1] = Field(description="Version of this format.", examples=[1])
    name: Name = Field(
        description="Name of the experiment; also names the folder of results.", examples=["my-service"]
    )
    title: Line = Field(
        default_factory=lambda given: str(given["name"]),
        description="Title of the report; defaults to the name.",
    )
    objective: Text = Field(
        "", max_length=5000, description="Purpose of the experiment; shown at the top of the report."
    )
    configurations: tuple[Configuration, ...] = Field(
        min_length=1,
        max_length=MAX_CONFIGURATIONS,
        description="Variants of the keys at the top: maps are merged, lists replaced, null removes a key.",
    )
    repeats: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        1, description="Number of runs of each stage; with more than one, the order is random (seeded)."
    )

    matrix: dict[Text, Annotated[tuple[Single, ...], Field(min_length=1, max_length=MAX_CELLS)]] = Field(
        default_factory=dict,
        description="Paths to keys, each with a list of values; every combination makes one variant of each "
        "configuration.",
        examples=[{"topology.replicas": [1, 2, 4], "load.connection": ["new", "keep-alive"]}],
    )

    @model_validator(mode="after")
    def _check_combination(self, info: ValidationInfo) -> Self:
        refuse(*_ambiguous_values(self.matrix))
        hint = "give each configuration a different name"
        refuse(*_duplicate_names("configurations", [one.name for one in self.configurations], hint))
        refuse(*self._unused_variables(), *self._unused_requests())
        read_rows = info.context.get(ROWS) if info.context else None
        refuse(*self._row_conflicts(read_rows))
        return self

    def _row_conflicts(self, read_rows: ReadRows | None) -> Iterator[Conflict]:
        for index, one in enumerate(self.configurations):
            for conflict in row_conflicts(one.load, one.stages, self.repeats, read_rows):
                yield Conflict(
                    ("configurations", index, "load", *conflict.at), conflict.message, conflict.hint
                )

    def _unused_requests(self) -> Iterator[Conflict]:
        """Yield a conflict for each request beside scenarios that no configuration's steps refer to."""
        with_scenarios = [(at, one.load) for at, one in enumerate(self.configurations) if one.load.scenarios]
        needed = {name for _, load in with_scenarios for name in load.referenced_requests}
        mixes = [one.load for one in self.configurations if not one.load.scenarios]
        needed |= {part.name for load in mixes for part in load.parts}
        for index, load in with_scenarios:
            for at, request in enumerate(load.requests):
                if request.name not in needed:
                    place = ("configurations", index, "load", "requests", at, "name")
                    yield Conflict(place, f"no step sends the request '{request.name}'", "remove it")

    def _unused_variables(self) -> Iterator[Conflict]:
        """Yield a conflict for each variable that no configuration uses; shared ones may be for some only."""
        needed = {name for one in self.configurations for name in one.used_names}
        for index, configuration in enumerate(self.configurations):
            for name in configuration.load.variables.keys() - needed:
                at = ("configurations", index, "load", "variables", name)
                yield Conflict(at, f"no request uses it: ${{{name}}} occurs nowhere", "remove it")


def _ambiguous_values(matrix: Mapping[str, Sequence[Any]]) -> list[Conflict]:
    """Return a conflict for each value that makes the same name as an earlier one."""
    conflicts = []
    for path, values in matrix.items():
        names = [slug(str(value)) for value in values]
        for i, first in ((i, names.index(name)) for i, name in enumerate(names) if name in names[:i]):
            message = f"{display(values[i])} makes the same configuration name as {display(values[first])}"
            conflicts.append(Conflict(("matrix", path, i), message))
    return conflicts


def _duplicate_names(field: str, names: Sequence[str], hint: str) -> list[Conflict]:
    """Return a conflict for each name that is in the list before."""
    used = "the name '{}' is already used by {}[{}]"
    return [
        Conflict((field, i, "name"), used.format(name, field, names.index(name)), hint)
        for i, name in enumerate(names)
        if name in names[:i]
    ]
