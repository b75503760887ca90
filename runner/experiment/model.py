"""Version 1 of the specification as frozen models.

Field names are the keys of the YAML file. Parsed times are seconds and parsed sizes are bytes;
`runner.experiment.quantities` converts ``30s`` and ``256MiB``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from runner.core.codes import Limit
from runner.core.units import Seconds
from runner.experiment.app import App, Proxy
from runner.experiment.base_model import Conflict, SpecModel, refuse
from runner.experiment.fields import Line, Name, Single, Text, Whole
from runner.experiment.find import Find, FindStage
from runner.experiment.matrix import MAX_CELLS, slug
from runner.experiment.quantities import HOUR, MINUTE, Time
from runner.experiment.suggestions import display
from runner.experiment.thresholds import Threshold
from runner.experiment.topology import DockerTopology, ExternalTopology, ProcessTopology, Topology
from runner.experiment.traffic import Expect, Load, Request, Stage
from runner.experiment.url import host_of, is_loopback, literal

__all__ = [
    "AnyStage", "App", "Configuration", "DockerTopology", "Expect", "Experiment", "ExternalTopology", "Find",
    "FindStage", "Load", "Metrics", "ProcessTopology", "Proxy", "Request", "Stage", "Threshold", "Topology",
]  # fmt: skip

MAX_CONFIGURATIONS: Final = 64

ExpectedLimit: TypeAlias = Literal[
    Limit.WITHIN_CAPACITY,
    Limit.APP_CPU,
    Limit.APP_QUOTA,
    Limit.APP_CONCURRENCY,
    Limit.PROXY_CPU,
    Limit.FORWARDER,
    Limit.HOST_CPU,
    Limit.CONNECTION,
    Limit.ERROR,
    Limit.MEMORY,
]
"""The verdicts that a hypothesis can name."""

STAGE_TAGS: Final[Mapping[type[SpecModel], str]] = {Stage: "#rate", FindStage: "#search"}
"""Tags that cannot be keys, because an error's location contains both."""


def _stage_tag(value: Any) -> str:
    finds = "find" in value if isinstance(value, dict) else isinstance(value, FindStage)
    return STAGE_TAGS[FindStage if finds else Stage]


AnyStage: TypeAlias = Annotated[
    Annotated[Stage, Tag(STAGE_TAGS[Stage])] | Annotated[FindStage, Tag(STAGE_TAGS[FindStage])],
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
        if self.peak_window < self.interval:
            refuse(Conflict(("peak_window",), "should be at least metrics.interval"))
        return self


class Configuration(SpecModel):
    """One system under test and how it is loaded, merged with the shared keys."""

    name: Name = Field(description="Unique name; part of container names.", examples=["keep-alive"])
    title: Line | None = Field(None, description="Heading in the report; defaults to the name.")
    topology: Topology = Field(
        description="The system to build.", examples=[{"kind": "external", "url": "http://127.0.0.1:8080"}]
    )
    load: Load = Field(Load(), description="Requests, connections and load generator.")
    stages: tuple[AnyStage, ...] = Field(
        min_length=1,
        max_length=100,
        description="Traffic levels, run one after another against the same stack.",
        examples=[[{"rps": 1000, "duration": "30s", "warmup": "5s"}]],
    )
    cooldown: Annotated[Seconds, Time(max_s=HOUR, zero=True)] = Field(
        2.0, description="Pause between two trials."
    )
    fresh_stack: Annotated[bool, Field(strict=True)] = Field(
        False, description="Start a new stack for every stage; the probes of a search share one."
    )
    metrics: Metrics = Field(Metrics(), description="Sampling of CPU and memory.")
    hypothesis: ExpectedLimit | None = Field(
        None, description="The limit you expect; the report states whether it was confirmed or refuted."
    )
    prove: Annotated[bool, Field(strict=True)] = Field(
        False, description="Run a counter-experiment for each stage that reached a limit."
    )
    thresholds: tuple[Threshold, ...] = Field(
        (), max_length=100, description="Checked against every stage; exit code 99 when one fails."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        duplicates = _duplicate_names("stages", self.stages, "give each stage a different 'name'")
        searching = self.load.cross_check and any(isinstance(stage, FindStage) for stage in self.stages)
        refuse(
            *duplicates,
            _remote_host_conflict(self.topology, self.load),
            Conflict(("load", "cross_check"), "cross_check cannot be combined with a stage that has 'find'")
            if searching
            else None,
        )
        return self


def _remote_host_conflict(topology: Topology, load: Load) -> Conflict | None:
    """Return the problem with a remote address that is not allowed; names are resolved at run time."""
    if topology.external_url is None:
        return None
    host = host_of(topology.external_url)
    if literal(host) is None or is_loopback(host) or host in load.allow_hosts:
        return None
    return Conflict(
        ("topology", "url"),
        f"{host} is a remote host that load.allow_hosts does not list",
        f'if you are authorized to put load on it, add allow_hosts: ["{host}"] to load, '
        "and run with --i-am-authorized",
    )


def _default_title(experiment: dict[str, Any]) -> str:
    return str(experiment["name"])


class Experiment(SpecModel):
    """One YAML file, resolved: every configuration is complete."""

    version: Literal[1] = Field(description="Version of this format.", examples=[1])
    name: Name = Field(
        description="Name of the experiment; also names the folder of results.", examples=["my-service"]
    )
    title: Line = Field(
        default_factory=_default_title, description="Title of the report; defaults to the name."
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
    def _check_combination(self) -> Self:
        refuse(*_ambiguous_values(self.matrix))
        refuse(
            *_duplicate_names(
                "configurations", self.configurations, "give each configuration a different name"
            )
        )
        return self


def _ambiguous_values(matrix: Mapping[str, Sequence[Any]]) -> list[Conflict]:
    """Return a conflict for each value that makes the same name as an earlier one."""
    return [
        Conflict(
            ("matrix", path, i),
            f"{display(value)} makes the same configuration name as {display(values[names.index(name)])}",
        )
        for path, values in matrix.items()
        for names in [[slug(str(value)) for value in values]]
        for i, (value, name) in enumerate(zip(values, names, strict=True))
        if name in names[:i]
    ]


def _duplicate_names(
    field: str, parts: Sequence[Stage | FindStage] | Sequence[Configuration], hint: str
) -> list[Conflict]:
    """Return a conflict for each part that has the name of an earlier one."""
    names = [part.name for part in parts]
    return [
        Conflict(
            (field, i, "name"), f"the name '{name}' is already used by {field}[{names.index(name)}]", hint
        )
        for i, name in enumerate(names)
        if name in names[:i]
    ]
