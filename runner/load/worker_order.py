"""What the runner tells a worker: one line of JSON each, light enough for a process without pydantic."""

from __future__ import annotations

from typing import Literal

import msgspec

from runner.core.endpoint import Tls
from runner.core.units import Nanoseconds, PerSecond, Seconds
from runner.load.checks import CheckOrder
from runner.load.pacing import RampPacer
from runner.load.rendering import Piece
from runner.load.scenario_order import ScenarioOrder
from runner.load.values import WorkerVariable


class WorkerRequest(msgspec.Struct, frozen=True):
    """One request of the mix.

    Attributes:
        content: The whole request, byte for byte; empty if it has pieces.
        head: Whether the method is HEAD, whose responses have no body.
        checks: What a successful response looks like.
        resend: Whether it is sent again when the server has closed its keep-alive connection.
        weight: Its share of all requests, in proportion to the others'.
        pieces: Of a request that differs by arrival, in order.
    """

    content: bytes
    head: bool
    checks: CheckOrder = CheckOrder()
    resend: bool = True
    weight: float = 1
    pieces: tuple[Piece, ...] = ()


class WorkerOrder(msgspec.Struct, frozen=True):
    """One worker's part of a stage.

    Attributes:
        family: Address family number of `address`.
        address: As `socket.connect` takes it, already resolved.
        requests: What to send, at least one.
        new_connections: Whether each request opens a new connection.
        rate: Arrivals per second of all workers together; of a ramp at the start, which may be 0; 0 in the
            closed model.
        warmup: Seconds.
        duration: Seconds.
        poisson: Whether arrivals are random.
        seed: Of the random arrivals.
        worker: Index of this worker.
        workers: Number of workers.
        max_in_flight: This worker's share.
        when_full: What happens to an arrival that finds no free slot.
        timeout: Seconds from dispatch to the last byte.
        quantum_ns: Interval between bunches of arrivals; 0 for exact spacing.
        bunched_from: Of a ramp: the rate from which arrivals are bunched; 0 for all.
        rate_to: The rate at the end of the window, to which a ramp leads; None for a constant rate.
        cpus: Processors to stay on; empty for any.
        users: Users of all workers together when the stage begins; above 0 it is in the closed model.
        users_to: Users at the window's end if their number changes linearly over the window.
        tls: How certificates are verified; None for plain HTTP.
        variables: Name to where its values come from.
        scenarios: What users do, step by step; None if an arrival is a request. The rate is then that of
            users, and `max_in_flight` bounds them.
    """

    family: int
    address: tuple[str | int, ...]
    requests: tuple[WorkerRequest, ...]
    new_connections: bool
    rate: PerSecond
    warmup: Seconds
    duration: Seconds
    poisson: bool
    seed: int
    worker: int
    workers: int
    max_in_flight: int
    when_full: Literal["drop", "queue"]
    timeout: Seconds
    quantum_ns: Nanoseconds
    cpus: tuple[int, ...] = ()
    tls: Tls | None = None
    variables: dict[str, WorkerVariable] = {}
    users: int = 0
    users_to: int | None = None
    scenarios: ScenarioOrder | None = None

    @property
    def most_users(self) -> int:
        """The largest number of users at any time."""
        return max(self.users, self.users_to or 0)

    @property
    def most_connections(self) -> int:
        """How many requests this worker may have under way."""
        return -(-self.most_users // self.workers) if self.most_users else self.max_in_flight

    bunched_from: PerSecond = 0.0
    rate_to: PerSecond | None = None

    @property
    def ramp(self) -> RampPacer | None:
        """The arrivals of a rate that changes; None for a constant one."""
        if self.rate_to is None:
            return None
        return RampPacer(self.rate, self.rate_to, self.warmup, self.duration)

    def to_json(self) -> bytes:
        """Return the order as one line of JSON; bytes are in base64."""
        return msgspec.json.encode(self) + b"\n"


class WorkerStart(msgspec.Struct, frozen=True):
    """The second line: when the first arrival is due, on CLOCK_MONOTONIC."""

    start_ns: Nanoseconds

    def to_json(self) -> bytes:
        """Return it as one line of JSON."""
        return msgspec.json.encode(self) + b"\n"


def from_json(line: bytes) -> WorkerOrder:
    """Return the order that `WorkerOrder.to_json` wrote."""
    return msgspec.json.decode(line, type=WorkerOrder)


def start_from_json(line: bytes) -> WorkerStart:
    """Return what `WorkerStart.to_json` wrote."""
    return msgspec.json.decode(line, type=WorkerStart)
