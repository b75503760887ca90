"""One request of the mix, as a worker sends it and counts its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice, repeat

from runner.core.mix import earlier_uses, earlier_uses_of_users
from runner.core.mix import order as mix_order
from runner.load.backlog import Backlog
from runner.load.checks import Checks
from runner.load.rendering import BodyPart, Render, Value, renderer
from runner.load.response_parser import Heads
from runner.load.rows import Rows
from runner.load.tolerant_parser import MAX_KEPT
from runner.load.values import Make, RowValues, maker
from runner.load.worker_order import WorkerOrder


class Part:
    """One request.

    Attributes:
        index: Its place in the order.
        content: The whole request, byte for byte, where it is the same for every arrival.
        render: Makes the request of an arrival; None where all are `content`. It is called once for every
            arrival that is sent, before the request counts as started.
        head_only: Whether responses have no body.
        checks: Decides whether a response is successful.
        reads_heads: Whether the heads of successful responses are looked at.
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
        "reads_heads",
        "render",
        "resend",
    )

    def __init__(self, order: WorkerOrder, index: int, render: Render | None) -> None:
        request = order.requests[index]
        self.index = index
        self.content = request.content
        self.render = render
        self.head_only, self.resend = request.head, request.resend
        self.checks = Checks(request.checks)
        self.reads_heads = self.checks.needs_head
        self.accepted = self.checks.statuses
        plain = () if order.new_connections or self.checks.needs_head else self.accepted
        self.heads = Heads(head_only=request.head, plain=plain)
        self.backlog = Backlog(order)

    def failure(self, status: int, head: bytes, body: bytes | bytearray) -> str:
        """Return the kind of failure that a whole response is; empty if it is successful."""
        if len(body) > MAX_KEPT:
            return "bad_body" if status in self.accepted else "bad_status"
        return self.checks.failure(status, head, bytes(body))


def parts_of(order: WorkerOrder) -> list[Part]:
    """Return the requests of a worker's order."""
    return [Part(order, index, render) for index, render in enumerate(renderers(order))]


def renderers(order: WorkerOrder) -> list[Render | None]:
    """Return what makes the bytes of each request; None where they are the same for all arrivals."""
    rows = {
        name: Rows(variable, _rank(order, users(order, name)))
        for name, variable in order.variables.items()
        if isinstance(variable, RowValues)
    }

    def make(value: Value | BodyPart) -> Make:
        assert isinstance(value, Value)  # only steps of scenarios send parts of files
        variable = order.variables[value.variable]
        if isinstance(variable, RowValues):
            return rows[value.variable].maker(value.path, value.position)
        return maker(variable, value.position)

    return [renderer(request.pieces, make) if request.pieces else None for request in order.requests]


def _rank(order: WorkerOrder, using: Sequence[int]) -> Callable[[int], int]:
    """Return what tells how many arrivals before an arrival send one of some requests."""
    weights = [request.weight for request in order.requests]
    if order.most_users:
        return earlier_uses_of_users(weights, using, order.most_users)
    return earlier_uses(weights, using)


def users(order: WorkerOrder, name: str) -> list[int]:
    """Return the indices of the requests that use a variable."""
    return [
        index
        for index, request in enumerate(order.requests)
        if any(isinstance(piece, Value) and piece.variable == name for piece in request.pieces)
    ]


def in_turn(order: WorkerOrder, parts: Sequence[Part]) -> Iterator[tuple[Part, int]]:
    """Return the part and the number of each of this worker's arrivals, without end.

    A single request whose bytes are always the same needs no number: it is always 0.
    """
    if len(parts) == 1 and parts[0].render is None:
        return repeat((parts[0], 0))
    chosen = mix_order([request.weight for request in order.requests])
    mine = islice(chosen, order.worker, None, order.workers)
    return zip(map(parts.__getitem__, mine), count(order.worker, order.workers), strict=False)
