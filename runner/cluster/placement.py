"""The seam to an engine of several machines: where programs run, what they get, and what became of them.

`runner.stack.swarm` implements it for Docker Swarm. Hub, agents, clocks and the merging of their reports use
nothing else of an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from runner.core.units import Bytes, Cores, Seconds

HUB_ALIAS: Final = "lp-hub"
"""Name of the hub on a network of the run."""

READY: Final = "ready"
"""State of a node on which tasks can be placed."""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster.

    Attributes:
        id: The engine's own, unique.
        name: Its host name, made unique among all nodes.
        address: Where other nodes reach it; empty if the engine does not say.
        cores: That its engine may use.
        memory_bytes: Of the machine.
        architecture: Of its images: ``amd64``, ``arm64``.
        engine_version: Of the engine on it.
        is_manager: Whether it takes orders for the cluster.
        state: ``ready``, or the engine's own word for why nothing can be placed on it.
        labels: Of the node.
    """

    id: str
    name: str
    address: str
    cores: Cores
    memory_bytes: Bytes
    architecture: str
    engine_version: str = ""
    is_manager: bool = False
    state: str = READY
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file that a program finds when it starts.

    Attributes:
        path: Absolute, inside the container.
        content: At most 1,023,999 bytes.
        secret: Whether only the program's own user may read it, and no tool may show it.
    """

    path: str
    content: bytes = field(repr=False)
    secret: bool = False


@dataclass(frozen=True, slots=True)
class BindMount:
    """A folder of the node inside a container.

    Attributes:
        source: On the node.
        target: In the container.
        read_only: Whether the program cannot write to it.
    """

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What one task may use at most; None for no limit."""

    cpus: Cores | None = None
    memory_bytes: Bytes | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class PlacedHealthcheck:
    """A command that tells whether a program is ready; a task runs when it succeeds.

    Attributes:
        command: With arguments; its first word is ``CMD`` or ``CMD-SHELL``, as in a Dockerfile.
        interval: Seconds between two runs.
        retries: Failures in a row that make the task fail.
    """

    command: tuple[str, ...]
    interval: Seconds = 0.5
    retries: int = 60


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One program to place, once or as several tasks. A task is never restarted and never moved.

    Attributes:
        name: Unique within the run, ``[a-z0-9-]``; the engine's object is named after it and the run.
        image: Pinned: a full image id or a reference with a digest.
        command: With arguments; empty for the image's own. It follows the image's entry point, if it has one.
        entrypoint: Replaces the image's entry point; empty for the image's own.
        folder: The working directory; empty for the image's own.
        env: Added to the image's own.
        networks: As `Placer.network` returned them.
        host: Whether it shares the network of its node; there are no `networks` then.
        constraints: Such as ``node.labels.role==load``; all hold.
        node_id: The only node that it may run on; empty for any.
        replicas: Number of tasks.
        one_per_node: Whether each node that meets the constraints gets one task; `replicas` is unused then.
        files: Configurations and secrets.
        mounts: Folders of the node.
        tmpfs: Folder inside, which is in memory, to its size in bytes; every user may write to it.
        user: Such as ``65534``; empty for the image's own.
        read_only: Whether the root file system cannot be written to.
        cap_drop: Capabilities that are taken away; ``ALL`` for all.
        limits: Of each task.
        ports: Published on each task's node: container port to host port, 0 for any free one.
        aliases: Further names in its networks.
        sysctls: Of its network namespace.
        healthcheck: When a task counts as running; None as soon as it has started: the image's own is off.
        labels: Further labels of the object.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    folder: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    networks: tuple[str, ...] = ()
    host: bool = False
    constraints: tuple[str, ...] = ()
    node_id: str = ""
    replicas: int = 1
    one_per_node: bool = False
    files: tuple[PlacedFile, ...] = ()
    mounts: tuple[BindMount, ...] = ()
    tmpfs: Mapping[str, Bytes] = field(default_factory=dict)
    user: str = ""
    read_only: bool = False
    cap_drop: tuple[str, ...] = ()
    limits: ResourceLimits = ResourceLimits()
    ports: Mapping[int, int] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    healthcheck: PlacedHealthcheck | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One placed instance of a program.

    Attributes:
        id: The engine's own.
        slot: Number within its plan, from 1.
        node_id: Where it runs; empty while it waits for a node.
        state: The engine's own word, such as ``running``, ``pending``, ``failed``.
        error: What the engine says of a failure, as it is; empty for none.
        exit_code: Of the program; None while it runs, or if the engine does not know it.
        container_id: Empty before there is one.
        pid: Of its first process, as its node sees it; 0 if unknown.
        addresses: Network, as `Placer.network` returned it, to the task's own address.
        ports: Container port to the host port that is published on its node.
    """

    id: str
    slot: int
    node_id: str
    state: str
    error: str = ""
    exit_code: int | None = None
    container_id: str = ""
    pid: int = 0
    addresses: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)


class Channel(Protocol):
    """The standard input and output of a program on another machine, as lines."""

    @property
    def address(self) -> str:
        """The address with which agents reach this program: `HUB_ALIAS` on a network of the run."""

    @property
    def node(self) -> str:
        """The name of the node on which it runs."""

    async def send_line(self, line: bytes) -> None:
        """Send a line, its end included; several tasks may send at the same time, lines stay whole.

        Raises:
            trio.BrokenResourceError: The program is gone.
        """

    async def receive_line(self) -> bytes | None:
        """Return the next line without its end; None when the program is gone.

        Raises:
            ValueError: A line is longer than `runner.cluster.lines.MAX_LINE` bytes.
        """

    def last_words(self) -> tuple[str, ...]:
        """Return the last lines that the program has written to its standard error."""

    async def aclose(self) -> None:
        """End the program's standard input, wait a moment for its end, and remove it."""


class Placer(Protocol):
    """Places programs on the nodes of one cluster for one run, and removes them.

    Everything that it makes carries the run's label. Calls may be made from several tasks at the same time.
    Every method raises `runner.core.errors.EnvironmentLacks` if the engine does not answer.
    """

    async def nodes(self) -> tuple[Node, ...]:
        """Return all nodes, those that are not ready included, by name."""

    async def network(self, name: str) -> str:
        """Return the run's network of this name, which spans all nodes; it is made on the first call."""

    async def place(self, plan: TaskPlan, *, within: Seconds) -> tuple[Task, ...]:
        """Place a program, and return its tasks when all of them run.

        Raises:
            StackFailed: A task failed, was rejected, or does not run `within` seconds; the message contains
                its node and what the engine says. Nothing of the plan is left then but tasks that are ending.
        """

    async def tasks(self, name: str) -> tuple[Task, ...]:
        """Return the tasks of a plan as they are now, by slot and node; empty if there is no such plan."""

    def hub_node(self) -> str:
        """Return the id of the node on which `start_hub` starts its program."""

    async def start_hub(
        self,
        *,
        image: str,
        command: Sequence[str],
        network: str | None,
        files: Sequence[PlacedFile] = (),
        mounts: Sequence[BindMount] = (),
    ) -> Channel:
        """Start the program that all agents connect to, close to the one that takes the runner's orders.

        Args:
            image: Pinned, as of `TaskPlan`.
            command: With arguments.
            network: As `network` returned it; None for the network of its node.
            files: That it finds when it starts.
            mounts: Folders of its node.

        Raises:
            StackFailed: It could not be started.
        """

    async def output(self, name: str, lines: int) -> Mapping[str, tuple[str, ...]]:
        """Return the last lines of each task of a plan, by task id; empty where there are none."""

    async def remove(self, name: str, *, wait: bool = True) -> None:
        """Remove a program; one that is unknown is no error.

        Args:
            name: Of its plan.
            wait: Whether to return when its tasks are gone; `remove_all` waits for them in any case.
        """

    async def remove_all(self) -> str:
        """Remove everything of the run; returns what is left, empty for nothing. Bounded in time."""
