"""What one worker is told to do: one line of JSON, light enough for a process without pydantic."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Literal

from runner.core.facts import Tls
from runner.core.units import Nanoseconds, PerSecond, Seconds


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """One worker's part of a stage.

    Attributes:
        family: Address family number of `address`.
        address: As `socket.connect` takes it, already resolved.
        request: The whole request, byte for byte.
        head: Whether the method is HEAD, whose answers have no body.
        status: Acceptable status codes.
        body_contains: Bytes the body must contain; empty for anything.
        new_connections: One connection per request.
        rate: Arrivals per second of all workers together.
        warmup: Seconds.
        duration: Seconds.
        poisson: Whether arrivals are random.
        seed: Of the random arrivals.
        worker: Index of this worker.
        workers: How many there are.
        max_in_flight: This worker's share.
        when_full: What becomes of an arrival that finds no free slot.
        timeout: Seconds from being taken up to the last byte.
        quantum_ns: How far apart bunches of arrivals are; 0 for exact spacing.
        resend: Whether a request whose kept connection was closed meanwhile may be sent again.
        cpus: Processors to stay on; empty for any.
        tls: How certificates are judged; None for plain HTTP.
    """

    family: int
    address: tuple[str | int, ...]
    request: bytes
    head: bool
    status: tuple[int, ...]
    body_contains: bytes
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
    resend: bool = True
    cpus: tuple[int, ...] = ()
    tls: Tls | None = None

    def to_json(self) -> bytes:
        """One line of JSON."""
        fields = asdict(self)
        for name in ("request", "body_contains"):
            fields[name] = base64.b64encode(fields[name]).decode()
        return json.dumps(fields).encode() + b"\n"


def from_json(line: bytes) -> WorkerOrder:
    """The order that `WorkerOrder.to_json` wrote."""
    fields = json.loads(line)
    for name in ("request", "body_contains"):
        fields[name] = base64.b64decode(fields[name])
    for name in ("address", "status", "cpus"):
        fields[name] = tuple(fields[name])
    tls = fields.pop("tls")
    return WorkerOrder(**fields, tls=Tls(**tls) if tls else None)
