"""One request of the mix, as a worker sends it and counts its responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, repeat

from runner.core.mix import order as mix_order
from runner.load.backlog import Backlog
from runner.load.checks import Checks
from runner.load.response_parser import Heads
from runner.load.tolerant_parser import MAX_KEPT
from runner.load.worker_order import WorkerOrder


class Part:
    """One request.

    Attributes:
        index: Its place in the order.
        content: The whole request, byte for byte.
        size: Its length.
        head_only: Whether responses have no body.
        checks: Decides whether a response is successful.
        accepted: Acceptable status codes.
        resend: Whether it may be sent again.
        heads: Heads of its responses seen before.
        backlog: How its response times developed.
    """

    __slots__ = (
        "accepted",
        "backlog",
        "checks",
        "content",
        "head_only",
        "heads",
        "index",
        "resend",
        "size"
    )  # fmt: skip

    def __init__(self, order: WorkerOrder, index: int) -> None:
        request = order.requests[index]
        self.index = index
        self.content, self.size = request.content, len(request.content)
        self.head_only, self.resend = request.head, request.resend
        self.checks = Checks(request.checks)
        self.accepted = self.checks.statuses
        plain = () if order.new_connections or self.checks.needs_head else self.accepted
        self.heads = Heads(head_only=request.head, plain=plain)
        self.backlog = Backlog(order)

    def failure(self, status: int, head: bytes, body: bytes | bytearray) -> str:
        """Return the kind of failure that a whole response is; empty if it is successful."""
        if len(body) > MAX_KEPT:
            return "bad_body" if status in self.accepted else "bad_status"
        return self.checks.failure(status, head, bytes(body))


def in_turn(order: WorkerOrder, parts: Sequence[Part]) -> Iterator[Part]:
    """Return the part of each of this worker's arrivals, without end."""
    if len(parts) == 1:
        return repeat(parts[0])
    chosen = mix_order([request.weight for request in order.requests])
    return map(parts.__getitem__, islice(chosen, order.worker, None, order.workers))
