"""Connects to a manager of a swarm, and lists its nodes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks
from runner.stack.docker.engine import Engine, EngineRefused, connect
from runner.stack.swarm.responses import EngineInfo, NodeDetails, SwarmState

ENGINE_LABEL: Final = "engine."
"""Precedes the names of the labels that a node's engine has, among those of the node."""

_RPC: Final = re.compile(r"^rpc error: code = \w+ desc = ")
_NANO: Final = 1_000_000_000
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_UNKNOWN_ADDRESSES: Final = {"", "0.0.0.0", "127.0.0.1"}  # noqa: S104  (compared, not listened on)


async def connect_to_manager() -> tuple[Engine, str]:
    """Connect to the engine in DOCKER_HOST, which must be a manager of a swarm; also returns its node's id.

    Raises:
        EnvironmentLacks: There is no such engine, or it is not a manager.
    """
    engine = await connect(elsewhere=True)
    try:
        info = await engine.read(EngineInfo, engine.api.info)
        refuse_others(info.swarm, engine.base_url)
        await list_nodes(engine)
    except EngineRefused as refused:
        engine.close()
        raise EnvironmentLacks(
            f"the manager at {engine.base_url} takes no orders: {plain_reason(refused.reason)}",
            hint="a swarm takes orders while more than half of its managers are up",
        ) from refused
    except BaseException:
        engine.close()
        raise
    return engine, info.swarm.node_id


def refuse_others(state: SwarmState, base_url: str) -> None:
    """Raise EnvironmentLacks unless an engine is a manager of a swarm."""
    if state.local_node_state == "inactive":
        raise EnvironmentLacks(
            f"the Docker Engine at {base_url} is not part of a swarm",
            hint="set DOCKER_HOST to a manager of one, or make one of this engine with `docker swarm init`",
        )
    if state.local_node_state != "active":
        reason = state.error or f"its state there is {state.local_node_state}"
        raise EnvironmentLacks(
            f"the Docker Engine at {base_url} does not take part in its swarm: {reason}",
            hint="`docker info` and the engine's log say more; a locked one needs `docker swarm unlock`",
        )
    if not state.control_available:
        managers = [manager.addr for manager in state.remote_managers or () if manager.addr]
        where = f", such as the one at {managers[0].rpartition(':')[0]}" if managers else ""
        raise EnvironmentLacks(
            f"the Docker Engine at {base_url} is a worker of its swarm, and only managers take orders",
            hint=f"set DOCKER_HOST to the engine of a manager{where}",
        )


def plain_reason(reason: str) -> str:
    """Return a manager's reason without the words of the protocol that it speaks with others."""
    return _RPC.sub("", reason)


async def list_nodes(engine: Engine) -> tuple[Node, ...]:
    """Return all nodes of the swarm by name, those that are not ready included.

    Raises:
        EnvironmentLacks: The engine does not answer.
    """
    details = await engine.read(tuple[NodeDetails, ...], engine.api.nodes)
    count = Counter(node.description.hostname for node in details)
    nodes = (_node(node, unique=count[node.description.hostname] == 1) for node in details)
    return tuple(sorted(nodes, key=lambda node: node.name))


def _node(details: NodeDetails, *, unique: bool) -> Node:
    description = details.description
    name = description.hostname or details.id
    labels = {f"{ENGINE_LABEL}{label}": value for label, value in (description.engine.labels or {}).items()}
    return Node(
        id=details.id,
        name=name if unique else f"{name}-{details.id[:6]}",
        address=_address(details),
        cores=description.resources.nano_cpus / _NANO,
        memory_bytes=description.resources.memory_bytes,
        architecture=_ARCHITECTURES.get(description.platform.architecture, description.platform.architecture),
        engine_version=description.engine.engine_version,
        is_manager=details.manager_status is not None,
        state=_state(details),
        labels={**labels, **(details.spec.labels or {})},
    )


def _state(details: NodeDetails) -> str:
    """Return ``ready``, or why no task is placed on a node."""
    if details.status.state != "ready":
        return details.status.state
    return "ready" if details.spec.availability == "active" else details.spec.availability


def _address(details: NodeDetails) -> str:
    """Return where other nodes reach it; a manager may not know that of itself."""
    if details.status.addr not in _UNKNOWN_ADDRESSES:
        return details.status.addr
    manager = details.manager_status.addr.rpartition(":")[0] if details.manager_status else ""
    return manager.strip("[]") or details.status.addr
