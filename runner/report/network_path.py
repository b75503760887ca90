"""How load reached a system on several machines, and what that cost: connect time and CPU of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from runner.core.codes import Role, is_service
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.machines import shared_machines
from runner.report.markdown_text import EMPTY, Markdown, Section, markdown, table
from runner.report.metric_text import no_connects, role_name
from runner.report.number_format import NOT_APPLICABLE

PATHS: Final[Mapping[str, str]] = {
    "overlay": "an overlay network, which wraps each packet between nodes (VXLAN)",
    "published": (
        "ports that the nodes publish: their kernels translate addresses, and what comes from the same node "
        "passes docker-proxy"
    ),
    "host": "the nodes' own networks, without address translation and tunnels",
}
"""Path to what a packet passes on it."""
SHORT: Final[Mapping[str, str]] = {
    "overlay": "overlay network",
    "published": "published ports",
    "host": "the nodes' own networks",
}
"""Path to its name in a sentence about the whole system."""
_ROLES: Final = (Role.GENERATOR, Role.PROXY, Role.APP)
_ALL: Final = "all CPU of all nodes"


def network_path(configuration: ConfigurationResults) -> Section | None:
    """Return what the network path of a system on several machines cost; None for other systems."""
    path = configuration.topology.path
    if path is None:
        return None
    sentence = markdown("Load reached the system through {}.", PATHS.get(path, path))
    if same := shared_machines(configuration.topology):
        sentence = markdown("{} {}", sentence, same)
    stages = [stage for stage in configuration.stages if stage.actual_rps]
    return Section(sentence=sentence, table=_table(stages) if stages else EMPTY)


def _table(stages: Sequence[Stage]) -> Markdown:
    rows = [
        ["Connect p50 / p95 (ms)", *map(_connect, stages)],
        *(
            [f"CPU per request: {_name(role)} (µs)", *(_cost(stage, role) for stage in stages)]
            for role in _roles(stages)
        ),
    ]
    return table(["Cost", *(stage.title for stage in stages)], rows)


def _connect(stage: Stage) -> str:
    latency = stage.connect_ms
    return no_connects(stage) or f"{number_format.ms(latency.p50)} / {number_format.ms(latency.p95)}"


def _roles(stages: Sequence[Stage]) -> list[str]:
    seen = dict.fromkeys(role for stage in stages for role, cost in stage.cpu_us_per_request.items() if cost)
    services = [role for role in seen if is_service(role)]
    return [role for role in (*_ROLES, *services, Role.SYSTEM) if role in seen]


def _name(role: str) -> str:
    return _ALL if role == Role.SYSTEM else role_name(role)


def _cost(stage: Stage, role: str) -> str:
    cost = stage.cpu_us_per_request.get(role)
    return NOT_APPLICABLE if cost is None else number_format.micros(cost)
