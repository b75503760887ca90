"""What runner, hub and agents say to each other: one line of JSON for each message, checked when it is read.

::

    runner  -- RunnerMessage -->  hub  -- HubToAgent -->  agent      (`Down` carries an AgentOrder)
    runner  <-- HubMessage -----  hub  <-- AgentToHub --  agent      (`Up` carries an AgentReport)

The hub passes the content of `Down` and `Up` on as it is; `runner.cluster.agent_messages` defines it.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Raw, Struct

from runner.cluster.facts import AgentInfo, Duration, Instant, Word
from runner.cluster.wire import (
    MessageDecoder,
    Name,
    Nonce,
    Number,
    Period,
    Port,
    Proof,
    Reason,
    Secret,
    WireMessage,
)

# runner -> hub


class HubOrder(WireMessage, frozen=True, kw_only=True, tag="order"):
    """The first line that a hub reads.

    Attributes:
        run_id: Of the run.
        secret: Of the run.
        host: Where it listens.
        port: Likewise; 0 for a free one.
        nodes: Names of the nodes whose agents it expects.
        expires_s: After which it ends in any case.
        silent_s: An agent from which nothing comes for so long is lost.
        own_node: The node whose agent is a process beside the hub; None if there is no such process.
    """

    run_id: Name
    secret: Secret
    host: Annotated[str, Meta(max_length=256)]
    port: Port
    nodes: Annotated[tuple[Name, ...], Meta(max_length=10_000)]
    expires_s: Period
    silent_s: Period
    own_node: Name | None = None


class HubPing(WireMessage, frozen=True, kw_only=True, tag="ping"):
    """Answered with a `HubPong` at once."""

    id: Number


class MeasureClocks(WireMessage, frozen=True, kw_only=True, tag="measure"):
    """Measure the clocks of these nodes against the hub's; answered with `ClocksMeasured`."""

    id: Number
    nodes: tuple[Name, ...]


class ToAgent(WireMessage, frozen=True, kw_only=True, tag="to"):
    """An `AgentOrder` for the agent of a node; ignored if there is none."""

    node: Name
    order: Raw


class DropAgent(WireMessage, frozen=True, kw_only=True, tag="drop"):
    """End the connection to an agent."""

    node: Name
    reason: Reason


class ExpectAgent(WireMessage, frozen=True, kw_only=True, tag="expect"):
    """Admit another agent on a node whose agent is lost."""

    node: Name


RunnerMessage: TypeAlias = HubPing | MeasureClocks | ToAgent | DropAgent | ExpectAgent

# hub -> runner


class HubReady(WireMessage, frozen=True, kw_only=True, tag="ready"):
    """The hub listens."""

    port: Port


class HubFailed(WireMessage, frozen=True, kw_only=True, tag="failed"):
    """The hub cannot do what it was told, and ends."""

    reason: Reason


class HubPong(WireMessage, frozen=True, kw_only=True, tag="pong"):
    """What the hub's CLOCK_MONOTONIC read when it answered."""

    id: Number
    at_ns: Instant


class AgentJoined(WireMessage, frozen=True, kw_only=True, tag="joined"):
    """The agent of a node has proved that it knows the secret."""

    node: Name
    info: AgentInfo
    address: Word


class AgentGone(WireMessage, frozen=True, kw_only=True, tag="gone"):
    """The agent of a node no longer takes part."""

    node: Name
    reason: Reason


class Refused(WireMessage, frozen=True, kw_only=True, tag="refused"):
    """Connections that ended before they had proved anything.

    Attributes:
        count: Since the last such message.
        address: Of the last one.
        reason: Of the last one.
    """

    count: Number
    address: Word
    reason: Reason


class Leg(Struct, frozen=True, array_like=True):
    """The shortest of several round trips.

    Attributes:
        offset_ns: The answering clock minus the asking one.
        round_trip_ns: How long it took; the offset is wrong by half of it at most.
    """

    offset_ns: Instant
    round_trip_ns: Duration


class ClocksMeasured(WireMessage, frozen=True, kw_only=True, tag="clocks"):
    """Offsets of nodes' clocks against the hub's; nodes whose agents did not answer are missing."""

    id: Number
    legs: dict[Name, Leg]


class FromAgent(WireMessage, frozen=True, kw_only=True, tag="from"):
    """An `AgentReport` of a node's agent."""

    node: Name
    report: Raw


HubMessage: TypeAlias = (
    HubReady | HubFailed | HubPong | AgentJoined | AgentGone | Refused | ClocksMeasured | FromAgent
)

# hub -> agent


class Challenge(WireMessage, frozen=True, kw_only=True, tag="challenge"):
    """The hub's first line."""

    nonce: Nonce


class Welcome(WireMessage, frozen=True, kw_only=True, tag="welcome"):
    """The agent is admitted, and the hub proves that it knows the secret as well."""

    proof: Proof


class Denied(WireMessage, frozen=True, kw_only=True, tag="denied"):
    """The agent is not admitted."""

    reason: Reason


class Ping(WireMessage, frozen=True, kw_only=True, tag="ping"):
    """Answered with a `Pong` at once."""

    id: Number


class Down(WireMessage, frozen=True, kw_only=True, tag="down"):
    """An order of the runner."""

    order: Raw


HubToAgent: TypeAlias = Ping | Down
Admission: TypeAlias = Welcome | Denied

# agent -> hub


class Hello(WireMessage, frozen=True, kw_only=True, tag="hello"):
    """An agent's first line."""

    node: Name
    nonce: Nonce
    proof: Proof
    info: AgentInfo


class Pong(WireMessage, frozen=True, kw_only=True, tag="pong"):
    """What the node's CLOCK_MONOTONIC read when the agent answered."""

    id: Number
    at_ns: Instant


class Up(WireMessage, frozen=True, kw_only=True, tag="up"):
    """A report to the runner."""

    report: Raw


AgentToHub: TypeAlias = Pong | Up


HUB_ORDER: Final[MessageDecoder[HubOrder]] = MessageDecoder(HubOrder)
RUNNER_MESSAGE: Final[MessageDecoder[RunnerMessage]] = MessageDecoder(RunnerMessage)
HUB_MESSAGE: Final[MessageDecoder[HubMessage]] = MessageDecoder(HubMessage)
CHALLENGE: Final[MessageDecoder[Challenge]] = MessageDecoder(Challenge)
ADMISSION: Final[MessageDecoder[Admission]] = MessageDecoder(Admission)
HUB_TO_AGENT: Final[MessageDecoder[HubToAgent]] = MessageDecoder(HubToAgent)
HELLO: Final[MessageDecoder[Hello]] = MessageDecoder(Hello)
AGENT_TO_HUB: Final[MessageDecoder[AgentToHub]] = MessageDecoder(AgentToHub)
