"""The tasks of a stack of a swarm: which part each is, on which node, and where others reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from runner.cluster.placement import Node, Task
from runner.core.codes import Role, is_service
from runner.core.errors import EnvironmentLacks
from runner.core.observed_facts import PlacedPart
from runner.stack.nginx import STATUS_PATH
from runner.stack.swarm.plans import Part

LoadPath: TypeAlias = Literal["overlay", "published", "host"]

RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class PartTask:
    """A task of a part that runs.

    Attributes:
        name: Name of its subject: ``app``, ``app-2``, ``nginx`` or that of a service.
        part: How it was planned.
        task: As the engine placed it.
        node: Where.
        host: Address at which the load, or the proxy, reaches it.
        port: The same.
    """

    name: str
    part: Part
    task: Task
    node: Node
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Its address and port as they stand in a URL."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def title(self) -> str:
        """How messages name it."""
        if is_service(self.part.role):
            what = f"the service {self.name}"
        elif self.part.role == Role.APP:
            what = "the app" if self.name == Role.APP else f"the replica {self.name}"
        else:
            what = self.name
        return f"{what} on {self.node.name}"

    @property
    def observed(self) -> PlacedPart:
        """What the agent on its node observes."""
        ports = (self.part.port,) if self.part.port else ()
        return PlacedPart(
            name=self.name,
            role=self.part.role,
            node=self.node.name,
            container_id=self.task.container_id,
            pid=self.task.pid,
            ports=ports,
            metrics_url=self._url(self.part.port, self.part.metrics),
            status_url=self._url(self.part.status_port, STATUS_PATH),
        )

    def _url(self, port: int, path: str) -> str:
        """Return where its node reaches a page on a port of its own network namespace; empty for none."""
        addresses = (address for address in self.task.addresses.values() if address)
        return f"http://{next(addresses, self.node.address)}:{port}{path}" if port and path else ""


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def tasks_of(
    part: Part, tasks: Sequence[Task], *, nodes: Mapping[str, Node], path: LoadPath, network: str
) -> list[PartTask]:
    """Return the tasks of a part, in the order of their slots.

    Args:
        part: As it was planned.
        tasks: As they were placed.
        nodes: Id to node.
        path: How the load reaches them.
        network: The run's own.

    Raises:
        EnvironmentLacks: The engine does not say where one is reached.
    """
    ordered = sorted(tasks, key=lambda task: (task.slot, task.id))
    several = len(ordered) > 1
    return [
        _placed(f"{part.plan.name}-{number}" if several else part.plan.name, part, task, nodes, path, network)
        for number, task in enumerate(ordered, start=1)
    ]


def _placed(
    name: str, part: Part, task: Task, nodes: Mapping[str, Node], path: LoadPath, network: str
) -> PartTask:
    node = nodes.get(task.node_id)
    if node is None:
        raise EnvironmentLacks(
            f"the swarm runs {name} on a node that it does not list ({task.node_id or 'none'})",
            hint="look at `docker node ls` on a manager",
        )
    published = path == "published" and bool(part.plan.ports)
    on_node = path == "host" or published
    host = node.address if on_node else task.addresses.get(network, "")
    if not host:
        what = f"the address of the node {node.name}" if on_node else f"the address of {name}"
        raise EnvironmentLacks(
            f"the swarm does not say {what}",
            hint="another `topology.path` may work: overlay, published or host",
        )
    port = task.ports.get(part.port, 0) if published else part.port
    if published and not port:
        raise EnvironmentLacks(f"the swarm does not say which port of {node.name} leads to {name}")
    return PartTask(name, part, task, node, host, port)
