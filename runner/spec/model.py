"""What was asked: version 1 of the specification as frozen models.

Field names are the keys of the YAML file. Times are seconds and sizes are bytes once
parsed; `runner.spec.quantities` turns ``30s`` and ``256MiB`` into them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from runner.spec.quantities import Duration, Size
from runner.spec.thresholds import Threshold


class Part(BaseModel):
    """A mapping in the specification: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class App(Part):
    """The application under test."""

    command: tuple[str, ...] | None = None
    build: str | None = None
    image: str | None = None
    port: int | None = None
    health: str = "/healthz"
    metrics: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    cpus: float | None = None
    memory: Size | None = None
    ready_within: Duration = 30.0
    """How long the health URL may take to answer after the start."""


class Proxy(Part):
    """Nginx in front of the replicas."""

    kind: Literal["nginx"] = "nginx"
    keepalive: int = 0
    workers: int | Literal["auto"] = "auto"


class ProcessTopology(Part):
    """One process on this host (later with nginx before it)."""

    kind: Literal["process"]
    app: App
    replicas: int = 1
    proxy: Proxy | None = None


class DockerTopology(Part):
    """Replicas in containers, optionally behind nginx."""

    kind: Literal["docker"]
    app: App
    replicas: int = 1
    proxy: Proxy | None = None
    network: Literal["bridge", "host"] = "bridge"
    publish: Literal["port", "container"] = "port"


class ExternalTopology(Part):
    """Something that already runs; nothing is built."""

    kind: Literal["external"]
    url: str
    health: str | None = None
    pids: tuple[int, ...] = ()


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology, Field(discriminator="kind")
]


class Request(Part):
    """What one request says."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None


class Expect(Part):
    """When an answer counts as a success."""

    status: tuple[int, ...] = (200,)
    body_contains: str | None = None


class Load(Part):
    """How the load is offered."""

    engine: Literal["builtin", "k6"] = "builtin"
    request: Request = Request()
    expect: Expect = Expect()
    connection: Literal["new", "keep-alive"] = "keep-alive"
    arrivals: Literal["constant", "poisson"] = "constant"
    max_in_flight: int = 2000
    when_full: Literal["drop", "queue"] = "drop"
    timeout: Duration = 10.0
    workers: int | Literal["auto"] = "auto"
    seed: int = 1


class Stage(Part):
    """One offered rate held for a duration, after an optional warm-up."""

    rps: float
    duration: Duration
    warmup: Duration = 0.0
    name: str
    """Defaults to the rate, such as ``4,000 RPS``."""


class Metrics(Part):
    """How finely to watch."""

    interval: Duration = 0.2
    peak_window: Duration = 1.0


class Configuration(Part):
    """One system under test plus the way it is loaded, after the overlay was laid on."""

    name: str
    title: str | None = None
    topology: Topology
    load: Load
    stages: tuple[Stage, ...]
    cooldown: Duration
    metrics: Metrics
    thresholds: tuple[Threshold, ...]


class Experiment(Part):
    """One YAML file, resolved: every configuration is complete in itself."""

    version: Literal[1]
    name: str
    title: str
    objective: str
    configurations: tuple[Configuration, ...]
    repeats: int = 1
