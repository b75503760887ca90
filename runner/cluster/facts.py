"""What the runner knows of agents: the machine of each, its clock, and why one is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from runner.core.units import Bytes, Cores, Nanoseconds, Seconds

PORT_MAX: Final = 65_535

Word: TypeAlias = Annotated[str, Meta(max_length=256)]
Instant: TypeAlias = Annotated[Nanoseconds, Meta(ge=-(2**62), le=2**62)]
Duration: TypeAlias = Annotated[Nanoseconds, Meta(ge=0, le=2**62)]


class AgentInfo(Struct, frozen=True, kw_only=True):
    """An agent's machine, as the agent finds it from inside its container.

    Attributes:
        hostname: Of the agent's own name space.
        pid: Of the agent there.
        cores: That it may use: the smaller of its processors and its quota.
        memory_bytes: Of the machine.
        architecture: Such as ``x86_64``.
        kernel: Release of the kernel.
        python: Version of its interpreter.
        boot_id: Of the kernel: the same for agents on one machine. Empty if it cannot be read.
        modules: Kinds of processes that it can start.
        kinds: Kinds of questions that it answers, see `runner.cluster.client.Cluster.ask`.
    """

    hostname: Word
    pid: Annotated[int, Meta(ge=0, le=2**31)]
    cores: Annotated[Cores, Meta(gt=0, le=65_536)]
    memory_bytes: Annotated[Bytes, Meta(ge=0, le=2**60)]
    architecture: Word
    kernel: Word
    python: Word
    boot_id: Word = ""
    modules: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    kinds: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()


def on_same_machine(agents: Mapping[str, AgentInfo], node: str) -> tuple[str, ...]:
    """Return the names of other nodes whose agents see the same running kernel; none if that is not known.

    Args:
        agents: By their nodes' names.
        node: Name of a node.
    """
    boot_id = agents[node].boot_id if node in agents else ""
    same = (name for name, info in agents.items() if boot_id and info.boot_id == boot_id)
    return tuple(sorted(name for name in same if name != node))


class ClockOffset(Struct, frozen=True, kw_only=True):
    """How far a node's CLOCK_MONOTONIC is ahead of the runner's.

    It is measured in two legs, runner to hub and hub to agent, by the shortest round trip of each. The first
    leg is common to all nodes of one measurement, so it does not make their starts differ.

    Attributes:
        offset_ns: Node's clock minus runner's clock.
        error_ns: The largest possible error of `offset_ns`: half of both shortest round trips.
        node_error_ns: The part of `error_ns` that differs between nodes: half of the leg hub to agent. Two
            nodes start at most the sum of theirs apart.
        hub_offset_ns: The hub's clock minus the runner's, of the same measurement.
        round_trip_ns: Of both legs.
        at_ns: When it was measured, on the runner's clock.
    """

    offset_ns: Instant
    error_ns: Duration
    node_error_ns: Duration
    hub_offset_ns: Instant
    round_trip_ns: Duration
    at_ns: Instant

    def to_node_ns(self, runner_ns: Nanoseconds) -> Nanoseconds:
        """Return what the node's clock reads when the runner's reads `runner_ns`."""
        return runner_ns + self.offset_ns

    def to_runner_ns(self, node_ns: Nanoseconds) -> Nanoseconds:
        """Return what the runner's clock reads when the node's reads `node_ns`."""
        return node_ns - self.offset_ns


class LostAgent(Struct, frozen=True, kw_only=True):
    """An agent that no longer takes part.

    Attributes:
        node: Its node's name.
        reason: Such as ``silent for 3 s`` or ``its connection ended``.
        at_ns: When the runner learned it, on the runner's clock.
    """

    node: str
    reason: str
    at_ns: Nanoseconds


class ProbeOrder(Struct, frozen=True, kw_only=True):
    """One request or connection from a node.

    Attributes:
        host: Name or address, as the node resolves it.
        port: Of TCP.
        path: Of a GET by HTTP/1.1; None for a connection only.
        within_s: The whole attempt, the look-up of the name included.
    """

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=PORT_MAX)]
    path: Annotated[str, Meta(max_length=8192)] | None = None
    within_s: Annotated[Seconds, Meta(gt=0, le=600)]


class ProbeResult(Struct, frozen=True, kw_only=True):
    """How a probe ended.

    Attributes:
        status: Of the response; None without one.
        error: Why there is none, empty for success.
        seconds: It took.
        connect_s: Until the connection was open; None if it never was.
        address: That it was opened to; empty if none.
    """

    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    error: Annotated[str, Meta(max_length=1000)] = ""
    seconds: Annotated[Seconds, Meta(ge=0, le=3600)]
    connect_s: Annotated[Seconds, Meta(ge=0, le=3600)] | None = None
    address: Word = ""
