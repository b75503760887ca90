"""The request of one step, as a worker sends it for each user and reads its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from runner.core.mix import earlier_uses, earlier_uses_of_users
from runner.core.rows import json_of, keys_of, part_of, text_of
from runner.core.template import ENCODERS, Position
from runner.load.captures import Captures
from runner.load.cookies import sets_cookies
from runner.load.origins import REDIRECTS, target_of
from runner.load.part import Part
from runner.load.rendering import BodyPart, Render, Value, renderer
from runner.load.response_parser import Heads
from runner.load.rows import Rows
from runner.load.scenario_order import (
    ChooseStep,
    ForEachStep,
    IfStep,
    PauseStep,
    ProbabilityStep,
    RepeatStep,
    RequestStep,
    WorkerStep,
)
from runner.load.values import Make, RowValues, maker
from runner.load.walk import Walk
from runner.load.worker_order import WorkerOrder, WorkerRequest

_LARGEST_OFFSET: Final = 2**53


class CannotRender(ValueError):  # noqa: N818  (likewise)
    """A request cannot be made of a user's values; the text says why, as a sentence."""


class StepHeads(Heads):
    """`Heads` whose `plain` responses set no cookies."""

    __slots__ = ()

    def find(self, data: bytearray, count: int) -> bool:
        """See `Heads.find`."""
        head = self.head
        if not super().find(data, count):
            return False
        if self.plain and self.head is not head and sets_cookies(self.head):
            self.plain = False
        return True


class StepPart(Part):
    """The request of one step.

    Attributes:
        step: What the user does with it.
        target: Path and query, where they are the same for all users; else empty.
        captures: What is taken out of its responses.
        keeps_body: Whether something reads their bodies.
    """

    __slots__ = ("captures", "keeps_body", "step", "target")

    def __init__(self, order: WorkerOrder, step: RequestStep, render: Render | None) -> None:
        super().__init__(order, step.request, render)
        self.step = step
        self.target = _constant_target(order.requests[step.request])
        self.reads_heads = True
        self.captures = Captures(step.name, step.extracts)
        self.keeps_body = self.captures.needs_body or self.checks.needs_body
        plain = self.accepted - REDIRECTS if step.follow else self.accepted
        is_read = bool(self.captures) or self.checks.needs_head or order.new_connections
        self.heads = StepHeads(head_only=self.head_only, plain=() if is_read else plain)


def _constant_target(request: WorkerRequest) -> str:
    opening = request.pieces[0] if request.pieces else request.content
    return target_of(opening) if isinstance(opening, bytes) and b"\r\n" in opening else ""


def step_parts(order: WorkerOrder) -> list[StepPart]:
    """Return the requests of all steps, in the order of the requests."""
    assert order.scenarios is not None
    steps = sorted(
        (step for scenario in order.scenarios.scenarios for step in request_steps(scenario.steps)),
        key=lambda step: step.request,
    )
    return [StepPart(order, step, render) for step, render in zip(steps, _renderers(order), strict=True)]


def request_steps(steps: Sequence[WorkerStep]) -> Iterator[RequestStep]:
    """Yield the steps that send a request, those inside other steps included, in order."""
    for step in steps:
        match step:
            case RequestStep():
                yield step
            case PauseStep():
                pass
            case RepeatStep() | ProbabilityStep() | ForEachStep():
                yield from request_steps(step.steps)
            case ChooseStep():
                for branch in step.branches:
                    yield from request_steps(branch)
            case IfStep():
                yield from request_steps(step.steps)
                yield from request_steps(step.otherwise)


def _renderers(order: WorkerOrder) -> list[Render | None]:
    """Return what makes the bytes of each request for a user; None where they are the same for all."""
    rows = {
        name: Rows(variable, _rank(order, name))
        for name, variable in order.variables.items()
        if isinstance(variable, RowValues)
    }

    def make(piece: Value | BodyPart) -> Make:
        # a renderer passes on what it is given, here users
        return _body_part(piece) if isinstance(piece, BodyPart) else _value(order, rows, piece)  # type: ignore[return-value]

    return [renderer(request.pieces, make) if request.pieces else None for request in order.requests]


def _value(order: WorkerOrder, rows: dict[str, Rows], value: Value) -> Callable[[Walk], bytes]:
    """Return what makes a value that stands in a request, for a user."""
    assert order.scenarios is not None
    variable = order.variables.get(value.variable)
    if variable is None:
        return _extracted(value)
    if isinstance(variable, RowValues):
        made = rows[value.variable].maker(value.path, value.position)
    else:
        made = maker(variable, value.position)
    first = order.scenarios.first
    if value.variable in order.scenarios.per_request:
        return lambda walk: made(walk.position)
    return lambda walk: made(walk.number - first)


def _extracted(value: Value) -> Callable[[Walk], bytes]:
    name, keys, encode = value.variable, keys_of(value.path), _encoder(value)

    def make(walk: Walk) -> bytes:
        try:
            found = walk.values[name]
        except KeyError:
            raise CannotRender(f"`{name}` has no value") from None
        if keys:
            try:
                found = part_of(found, keys)
            except LookupError:
                raise CannotRender(f"`{name}` has no part {value.path}") from None
        try:
            return encode(found)
        except UnicodeEncodeError:
            raise CannotRender(f"`{name}` is not text that UTF-8 can express") from None

    return make


def _encoder(value: Value) -> Callable[[Any], bytes]:
    if value.position is Position.VALUE:
        return lambda found: json_of(found).encode()
    encode = ENCODERS[value.position]
    if value.position is not Position.HEADER:
        return lambda found: encode(text_of(found)).encode()

    def encode_header(found: Any) -> bytes:
        text = text_of(found)
        if not (text.isascii() and text.isprintable()):
            raise CannotRender(
                f"`{value.variable}` cannot be sent in a header: it is not one line of printable ASCII"
            )
        return text.encode()

    return encode_header


def _body_part(piece: BodyPart) -> Callable[[Walk], bytes]:
    content, size = piece.content, piece.size
    begin = piece.begin
    if isinstance(begin, int):
        constant = content[begin : begin + size]
        return lambda _: constant
    text = _extracted(Value(begin.variable, begin.path, Position.BODY))

    def make(walk: Walk) -> bytes:
        offset = text(walk)
        if not offset.isdigit() or int(offset[:20]) > _LARGEST_OFFSET:
            raise CannotRender(f"`{begin.variable}` is not a whole number, so body_range cannot begin there")
        return content[int(offset) : int(offset) + size]

    return make


def _rank(order: WorkerOrder, name: str) -> Callable[[int], int]:
    """Return what tells how many users before a user run a scenario that uses a variable."""
    assert order.scenarios is not None
    scenarios = order.scenarios.scenarios
    using = [
        index
        for index, scenario in enumerate(scenarios)
        if any(_uses(order, step.request, name) for step in request_steps(scenario.steps))
    ]
    weights = [scenario.weight for scenario in scenarios]
    if order.most_users:
        return earlier_uses_of_users(weights, using, order.most_users)
    return earlier_uses(weights, using)


def _uses(order: WorkerOrder, request: int, name: str) -> bool:
    pieces = order.requests[request].pieces
    return any(isinstance(piece, Value) and piece.variable == name for piece in pieces)
