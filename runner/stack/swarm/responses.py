"""What is used of a swarm manager's responses: every value has a type and a range, and is checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

from runner.stack.docker.responses import ExitStatus, Id, Instant, Labels, Pid, Text

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**62)]
PortNumber: TypeAlias = Annotated[int, Meta(ge=0, le=65_535)]


class RemoteManager(Struct, frozen=True, rename="pascal"):
    """A manager of the swarm that an engine belongs to."""

    addr: Text = ""


class SwarmState(Struct, frozen=True, rename="pascal"):
    """Which part an engine has in a swarm.

    Attributes:
        node_id: Its own, empty outside a swarm.
        local_node_state: Such as ``active``, ``inactive``, ``pending``, ``locked``.
        control_available: Whether it is a manager.
        error: Why it cannot take part.
    """

    node_id: Annotated[str, Meta(max_length=100)] = field(name="NodeID", default="")
    local_node_state: Text = "inactive"
    control_available: bool = False
    error: Text = ""
    remote_managers: tuple[RemoteManager, ...] | None = None


class EngineInfo(Struct, frozen=True, rename="pascal"):
    """An engine, as far as a swarm is concerned."""

    swarm: SwarmState = SwarmState()
    name: Text = ""
    architecture: Text = ""
    system_time: Instant | None = None


class Platform(Struct, frozen=True, rename="pascal"):
    """What a node's images must be made for."""

    architecture: Text = ""
    os: Text = field(name="OS", default="linux")


class NodeResources(Struct, frozen=True, rename="pascal"):
    """What a node's tasks can use."""

    nano_cpus: Count = field(name="NanoCPUs", default=0)
    memory_bytes: Count = 0


class NodeEngine(Struct, frozen=True, rename="pascal"):
    """A node's engine."""

    engine_version: Text = ""
    labels: Labels | None = None


class NodeDescription(Struct, frozen=True, rename="pascal"):
    """A node's machine, as its engine describes it."""

    hostname: Text = ""
    platform: Platform = Platform()
    resources: NodeResources = NodeResources()
    engine: NodeEngine = NodeEngine()


class NodeSpec(Struct, frozen=True, rename="pascal"):
    """What its operator wants of a node."""

    availability: Text = "active"
    labels: Labels | None = None


class NodeStatus(Struct, frozen=True, rename="pascal"):
    """Whether a node is there."""

    state: Text = "unknown"
    addr: Text = ""
    message: Text = ""


class ManagerStatus(Struct, frozen=True, rename="pascal"):
    """Where a manager is reached."""

    addr: Text = ""


class NodeDetails(Struct, frozen=True, rename="pascal"):
    """A node in a list."""

    id: Id = field(name="ID")
    description: NodeDescription = NodeDescription()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
    manager_status: ManagerStatus | None = None


class CreatedObject(Struct, frozen=True, rename="pascal"):
    """A new service, config or secret."""

    id: Id = field(name="ID")


class ObjectSpec(Struct, frozen=True, rename="pascal"):
    """Name and labels of an object of the swarm."""

    name: Text = ""
    labels: Labels | None = None


class SwarmObject(Struct, frozen=True, rename="pascal"):
    """A service, config or secret in a list."""

    id: Id = field(name="ID")
    spec: ObjectSpec = ObjectSpec()
    created_at: Instant | None = None


class ContainerStatus(Struct, frozen=True, rename="pascal"):
    """The container of a task; the pid is the one on its node."""

    container_id: Text = field(name="ContainerID", default="")
    pid: Pid = field(name="PID", default=0)
    exit_code: ExitStatus = 0


class PublishedPort(Struct, frozen=True, rename="pascal"):
    """A port of a task that its node publishes."""

    target_port: PortNumber = 0
    published_port: PortNumber = 0


class PortStatus(Struct, frozen=True, rename="pascal"):
    """The ports of a task, listed for each family of addresses."""

    ports: tuple[PublishedPort, ...] | None = None


class TaskStatus(Struct, frozen=True, rename="pascal"):
    """What became of a task so far."""

    state: Text = "new"
    err: Annotated[str, Meta(max_length=8_000)] = ""
    message: Annotated[str, Meta(max_length=8_000)] = ""
    container_status: ContainerStatus | None = None
    port_status: PortStatus | None = None


class NamedSpec(Struct, frozen=True, rename="pascal"):
    """The name of a network."""

    name: Text = ""


class AttachedNetwork(Struct, frozen=True, rename="pascal"):
    """A network of a task."""

    spec: NamedSpec = NamedSpec()


class NetworkAttachment(Struct, frozen=True, rename="pascal"):
    """A task's place in a network; addresses end with the length of the network's prefix."""

    network: AttachedNetwork
    addresses: tuple[Text, ...] | None = None


class TaskDetails(Struct, frozen=True, rename="pascal"):
    """A task in a list."""

    id: Id = field(name="ID")
    service_id: Text = field(name="ServiceID", default="")
    node_id: Annotated[str, Meta(max_length=100)] = field(name="NodeID", default="")
    slot: Count = 0
    desired_state: Text = ""
    status: TaskStatus = TaskStatus()
    networks_attachments: tuple[NetworkAttachment, ...] | None = None

    @property
    def addresses(self) -> Mapping[str, str]:
        """Network name to the task's own address there."""
        return {
            item.network.spec.name: item.addresses[0].partition("/")[0]
            for item in self.networks_attachments or ()
            if item.addresses
        }
