"""What was asked: version 1 of the specification as frozen models.

Field names are the keys of the YAML file. Times are seconds and sizes are bytes once
parsed; `runner.experiment.quantities` turns ``30s`` and ``256MiB`` into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from runner.core.units import Seconds
from runner.experiment.base_model import Conflict, Part, refuse
from runner.experiment.fields import Line, Name, Single, Text, Whole
from runner.experiment.find import Find, FindStage
from runner.experiment.matrix import MAX_CELLS, slug
from runner.experiment.quantities import HOUR, MINUTE, Time
from runner.experiment.suggestions import shown
from runner.experiment.thresholds import Threshold
from runner.experiment.topology import App, DockerTopology, ExternalTopology, ProcessTopology, Proxy, Topology
from runner.experiment.traffic import Expect, Load, Request, Stage
from runner.experiment.url import host_of, is_loopback, literal

__all__ = [
    "AnyStage", "App", "Configuration", "DockerTopology", "Expect", "Experiment", "ExternalTopology", "Find",
    "FindStage", "Load", "Metrics", "ProcessTopology", "Proxy", "Request", "Stage", "Threshold", "Topology",
]  # fmt: skip

MAX_CONFIGURATIONS: Final = 64

Limit: TypeAlias = Literal[
    "within-capacity",
    "app-cpu-limited",
    "app-quota-throttled",
    "app-concurrency-limited",
    "proxy-cpu-limited",
    "forwarder-limited",
    "host-cpu-limited",
    "connection-limited",
    "error-limited",
    "memory-limited",
]
"""The verdicts that can be expected."""


STAGE_TAGS: Final[Mapping[type[Part], str]] = {Stage: "#offers", FindStage: "#finds"}
"""Words that no key is, since an error's location holds both."""


def _stage_tag(value: Any) -> str:
    finds = "find" in value if isinstance(value, dict) else isinstance(value, FindStage)
    return STAGE_TAGS[FindStage if finds else Stage]


AnyStage: TypeAlias = Annotated[
    Annotated[Stage, Tag(STAGE_TAGS[Stage])] | Annotated[FindStage, Tag(STAGE_TAGS[FindStage])],
    Discriminator(_stage_tag),
]


class Metrics(Part):
    """How finely to watch."""

    interval: Annotated[Seconds, Time(least=0.02, most=10)] = Field(
        0.2, description="Time between two looks at every CPU and memory counter."
    )
    peak_window: Annotated[Seconds, Time(least=0.02, most=MINUTE)] = Field(
        1.0, description="A peak is the highest average over a window of this length."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.peak_window < self.interval:
            refuse(Conflict(("peak_window",), "should be at least metrics.interval"))
        return self


class Configuration(Part):
    """One system under test plus the way it is loaded, after the overlay was laid on."""

    name: Name = Field(description="Unique; part of the names of containers.", examples=["keep-alive"])
    title: Line | None = Field(None, description="Its heading in the report; the name when absent.")
    topology: Topology = Field(
        description="What to build.", examples=[{"kind": "external", "url": "http://127.0.0.1:8080"}]
    )
    load: Load = Field(Load(), description="What is asked, how fast, and over which connections.")
    stages: tuple[AnyStage, ...] = Field(
        min_length=1,
        max_length=100,
        description="Run one after the other against the same stack.",
        examples=[[{"rps": 1000, "duration": "30s", "warmup": "5s"}]],
    )
    cooldown: Annotated[Seconds, Time(most=HOUR, zero=True)] = Field(
        2.0, description="Pause between two trials."
    )
    fresh_stack: Annotated[bool, Field(strict=True)] = Field(
        False, description="Bring the stack up anew for every stage; the probes of a search share one."
    )
    metrics: Metrics = Field(Metrics(), description="How finely CPU and memory are watched.")
    hypothesis: Limit | None = Field(
        None, description="What is expected to limit it; the report answers confirmed or refuted."
    )
    prove: Annotated[bool, Field(strict=True)] = Field(
        False, description="Run the counter-experiment of each stage that met a limit."
    )
    thresholds: tuple[Threshold, ...] = Field(
        (), max_length=100, description="Held against every stage; exit code 99 when one fails."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        doubles = _doubles("stages", self.stages, "give each stage a 'name' of its own")
        searching = self.load.cross_check and any(isinstance(stage, FindStage) for stage in self.stages)
        refuse(
            *doubles,
            _aim_conflict(self.topology, self.load),
            Conflict(("load", "cross_check"), "a stage that finds its rate cannot be cross-checked")
            if searching
            else None,
        )
        return self


def _aim_conflict(topology: Topology, load: Load) -> Conflict | None:
    """An address that is not this machine's and that nobody allowed; names are looked up at run time."""
    if not isinstance(topology, ExternalTopology):
        return None
    host = host_of(topology.url)
    if literal(host) is None or is_loopback(host) or host in load.allow_hosts:
        return None
    return Conflict(
        ("topology", "url"),
        f"{host} is not this machine, and load.allow_hosts does not name it",
        f'if you may put load on it: add allow_hosts: ["{host}"] to load, and run with --i-am-authorized',
    )


def _own_name(experiment: dict[str, Any]) -> str:
    return str(experiment["name"])


class Experiment(Part):
    """One YAML file, resolved: every configuration is complete in itself."""

    version: Literal[1] = Field(description="Of this format.", examples=[1])
    name: Name = Field(description="Names the folder of results.", examples=["my-service"])
    title: Line = Field(default_factory=_own_name, description="The report's heading; the name when absent.")
    objective: Text = Field("", max_length=5000, description="Why the experiment is made; opens the report.")
    configurations: tuple[Configuration, ...] = Field(
        min_length=1,
        max_length=MAX_CONFIGURATIONS,
        description="Each is laid over the keys beside it: maps merge, lists replace, null removes a key.",
    )
    repeats: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        1, description="How often each stage is run; more than once in seeded random order."
    )

    matrix: dict[Text, Annotated[tuple[Single, ...], Field(min_length=1, max_length=MAX_CELLS)]] = Field(
        default_factory=dict,
        description="Paths to keys, each with values: every combination is laid over every configuration.",
        examples=[{"topology.replicas": [1, 2, 4], "load.connection": ["new", "keep-alive"]}],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(*_twice(self.matrix))
        refuse(*_doubles("configurations", self.configurations, "give each configuration a name of its own"))
        return self


def _twice(matrix: Mapping[str, Sequence[Any]]) -> list[Conflict]:
    """A conflict for every value that would give an earlier one's name."""
    return [
        Conflict(
            ("matrix", path, i), f"{shown(value)} makes the same name as {shown(values[names.index(name)])}"
        )
        for path, values in matrix.items()
        for names in [[slug(str(each)) for each in values]]
        for i, (value, name) in enumerate(zip(values, names, strict=True))
        if name in names[:i]
    ]


def _doubles(
    field: str, parts: Sequence[Stage | FindStage] | Sequence[Configuration], hint: str
) -> list[Conflict]:
    """A conflict for every part whose name an earlier one has."""
    names = [part.name for part in parts]
    return [
        Conflict((field, i, "name"), f"'{name}' is the name of {field}[{names.index(name)}] already", hint)
        for i, name in enumerate(names)
        if name in names[:i]
    ]
