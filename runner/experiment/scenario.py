"""The ``scenarios`` of a load: what one user does, step by step."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from runner.core.units import Seconds
from runner.experiment.base_model import (
    Conflict,
    SparseModel,
    SpecModel,
    WhenUsed,
    conflict_if,
    invalid_value,
    refuse,
)
from runner.experiment.condition import Condition
from runner.experiment.fields import Name, Number, Whole
from runner.experiment.quantities import HOUR, PauseTime
from runner.experiment.request import StepKeys
from runner.experiment.step_extraction import StepExtraction
from runner.experiment.suggestions import display, harmless, join_words
from runner.experiment.variables import VariableName

MAX_STEPS: Final = 200
"""Of one scenario, those inside other steps included."""
MAX_DEPTH: Final = 8
MAX_REPEAT: Final = 1000
MAX_VISITED: Final = 1000
"""How many entries of a list ``for_each`` visits at most."""
MAX_EXECUTED: Final = 10_000
"""How many steps one user executes at most."""
MAX_EXTRACTS: Final = 50
_HUNDRED: Final = 100
_FEWEST_BRANCHES: Final = 2

_REQUEST_LINE: Final = re.compile(r"(?:([A-Za-z]{3,7}) +)?(/\S{0,200})")
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")


class StepKind(StrEnum):
    """What a step does; the key in a specification."""

    REQUEST = "request"
    PAUSE = "pause"
    REPEAT = "repeat"
    PROBABILITY = "probability"
    CHOOSE = "choose"
    FOR_EACH = "for_each"
    IF = "if"


def _share(value: object) -> object:
    number: object = value
    if isinstance(value, str) and (matched := _PERCENT.fullmatch(value.strip())):
        number = float(matched[1]) / 100
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise invalid_value(f"should be a share such as 30% or 0.3, not {display(value)}")
    if not 0 < number < 1:
        hints: dict[float, str] = {0: "remove the step", 1: "write the steps without probability"}
        hint = f"did you mean {value}%?" if number is value and 1 < number < _HUNDRED else ""
        message = f"should be more than 0 and less than 100%, not {display(value)}"
        raise invalid_value(message, hints.get(number, hint))
    return float(number)


def _name_of_request(value: object) -> object:
    if isinstance(value, str) and (matched := _REQUEST_LINE.fullmatch(value)):
        method, path = matched.groups()
        keys = f"method: {method.upper()}, path: {harmless(path)}" if method else f"path: {harmless(path)}"
        message = f"should be the keys of a request or the name of one, not {display(value)}"
        raise invalid_value(message, f"write request: {{name: …, {keys}}}")
    return value


def _kind_of_request(value: Any) -> str:
    return "#name" if isinstance(value, str) else "#inline"


Probability: TypeAlias = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
            ]
        }
    ),
]
Weight: TypeAlias = Annotated[Number, Field(gt=0, le=1_000_000)]


class StepRequest(StepKeys):
    """The request of a step."""


_INLINE: TypeAlias = Annotated[StepRequest, WhenUsed(), Tag("#inline")]
_BY_NAME: TypeAlias = Annotated[Name, BeforeValidator(_name_of_request), Tag("#name")]


class Branch(SpecModel):
    """One of several alternatives of a step."""

    weight: Weight = Field(1, description="How often it is chosen, in proportion to the other weights.")
    steps: tuple[Annotated["Step", WhenUsed()], ...] = Field(
        min_length=1,
        max_length=MAX_STEPS,
        description="What the user does then.",
        examples=[[{"pause": "1s"}]],
    )


class Step(SparseModel):
    """One thing that a user does; exactly one of the keys in `StepKind` says what."""

    request: Annotated[_INLINE | _BY_NAME, Discriminator(_kind_of_request)] | None = Field(
        None,
        description="Request to send: its keys, or the name of one of load.requests.",
        examples=[{"name": "login", "method": "POST", "path": "/login"}],
    )
    name: Name | None = Field(
        None,
        description="Name of the step, beside a request of load.requests, whose name it has when absent.",
        examples=["home-again"],
    )
    extract: dict[VariableName, Annotated[StepExtraction, WhenUsed()]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_EXTRACTS,
        description="Names of values in the response to the request; later steps insert them with ${name}.",
        examples=[{"token": {"json": "$.token"}}],
    )
    pause: Annotated[tuple[Seconds, Seconds], PauseTime(HOUR)] | None = Field(
        None,
        description="Time that the user waits; of two times, any between them (uniform, seeded).",
        examples=[["1s", "3s"]],
    )
    repeat: Annotated[Whole, Field(ge=1, le=MAX_REPEAT)] | None = Field(
        None, description="How many times the user goes through `steps`.", examples=[4]
    )
    until: dict[VariableName, Condition] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Conditions as of `if`, tested after each time; if all hold, the user goes on, otherwise "
        "after `repeat` times.",
        examples=[{"state": "done"}],
    )
    probability: Probability | None = Field(
        None, description="Share of the users who go through `steps` (seeded).", examples=["30%"]
    )
    choose: tuple[Annotated[Branch, WhenUsed()], ...] | None = Field(
        None,
        max_length=100,
        description="Alternatives, of which the user takes one, by weight (seeded).",
        examples=[[{"weight": 2, "steps": [{"request": "search"}]}, {"steps": [{"request": "browse"}]}]],
    )
    for_each: VariableName | None = Field(
        None,
        description="Name of a list, extracted with pick: all; the user goes through `steps` for each of its "
        f"entries, at most {MAX_VISITED:,}.",
        examples=["items"],
    )
    item: VariableName | None = Field(
        None, alias="as", description="Name of the entry within the steps of `for_each`.", examples=["item"]
    )
    condition: dict[VariableName, Condition] | None = Field(
        None,
        alias="if",
        min_length=1,
        max_length=20,
        description="Extracted names, each with its value, a list of values, or {min, max, exists, matches}; "
        "the user goes through `steps` if all hold.",
        examples=[{"state": "open", "total": {"min": 10}}],
    )
    steps: tuple[Annotated["Step", WhenUsed()], ...] | None = Field(
        None, min_length=1, max_length=MAX_STEPS, description="What the user does within this step."
    )
    otherwise: tuple[Annotated["Step", WhenUsed()], ...] | None = Field(
        None,
        alias="else",
        min_length=1,
        max_length=MAX_STEPS,
        description="What the user does instead if a condition of `if` does not hold.",
    )

    @property
    def kinds(self) -> tuple[StepKind, ...]:
        """The keys that say what it does; exactly one in a valid step."""
        by_key = self.fields_by_key()
        return tuple(kind for kind in StepKind if getattr(self, by_key[kind]) is not None)

    @property
    def kind(self) -> StepKind:
        """What it does."""
        return self.kinds[0]

    @property
    def step_name(self) -> str:
        """The name of the request's step; empty of a step that sends none."""
        if self.request is None:
            return ""
        return self.request.name if isinstance(self.request, StepRequest) else self.name or self.request

    def alternatives(self) -> Iterator[tuple[tuple[str | int, ...], tuple["Step", ...]]]:
        """Yield the lists of steps inside it, each after the keys that lead to it."""
        if self.steps is not None:
            yield ("steps",), self.steps
        if self.otherwise is not None:
            yield ("else",), self.otherwise
        for index, branch in enumerate(self.choose or ()):
            yield ("choose", index, "steps"), branch.steps

    @model_validator(mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> Any:
        if isinstance(value, str):
            message = f"should be a mapping, not {display(value)}"
            raise invalid_value(message, f"a request by its name is request: {harmless(value[:60])}")
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*self._conflicts())
        return self

    def _conflicts(self) -> Iterator[Conflict | None]:
        if not self.kinds:
            example = "such as {pause: 1s} or {request: {name: home, path: /}}"
            yield Conflict((), f"should have one of {join_words(StepKind)}", example)
            return
        first, *others = self.kinds
        for kind in others:
            yield Conflict((kind.value,), f"cannot be combined with {first}: a step does one thing")
        if not others:
            yield from self._wrong_keys(first)
            yield from self._request_conflicts()

    def _wrong_keys(self, first: StepKind) -> Iterator[Conflict | None]:
        """Yield keys that do not belong to the kind of step, and those that it lacks."""
        for key, owners in _BELONGS_TO.items():
            wrong = getattr(self, self.fields_by_key()[key]) is not None and first not in owners
            hint = f"it belongs to {join_words(owners)}"
            yield conflict_if(wrong, (key,), f"has no meaning beside {first}", hint)
        missing = first in _BELONGS_TO["steps"] and self.steps is None
        yield conflict_if(missing, (first,), "requires steps", "such as steps: [{pause: 1s}]")
        unnamed = self.for_each is not None and not self.item
        yield conflict_if(unnamed, ("for_each",), "requires as", "such as as: item")
        single = self.choose is not None and len(self.choose) < _FEWEST_BRANCHES
        hint = "write its steps without choose"
        yield conflict_if(single, ("choose",), "should have at least two alternatives", hint)

    def _request_conflicts(self) -> Iterator[Conflict]:
        if not isinstance(self.request, StepRequest):
            return
        if self.name is not None:
            message = "the request has a name already"
            yield Conflict(("name",), message, "write the name in the request")
        if self.request.expect is not None:
            for conflict in self.request.expect.conflicts_with(self.request.method):
                yield Conflict(("request", "expect", *conflict.at), conflict.message)


_BELONGS_TO: Final[dict[str, tuple[StepKind, ...]]] = {
    "name": (StepKind.REQUEST,),
    "extract": (StepKind.REQUEST,),
    "as": (StepKind.FOR_EACH,),
    "until": (StepKind.REPEAT,),
    "steps": (StepKind.REPEAT, StepKind.PROBABILITY, StepKind.FOR_EACH, StepKind.IF),
    "else": (StepKind.IF,),
}
"""Key to the kinds of steps that can have it."""


class PlacedStep(NamedTuple):
    """A step and where it stands.

    Attributes:
        at: Leads from the scenario down to it.
        depth: 1 at the top of the scenario.
    """

    at: tuple[str | int, ...]
    step: Step
    depth: int


class Scenario(SpecModel):
    """What one user does, step by step."""

    name: Name = Field(description="Unique name; results are shown under it.", examples=["checkout"])
    weight: Weight = Field(1, description="Its share of the users, in proportion to the other weights.")
    steps: tuple[Annotated[Step, WhenUsed()], ...] = Field(
        min_length=1,
        max_length=MAX_STEPS,
        description="What the user does, in order.",
        examples=[[{"request": {"name": "home", "path": "/"}}, {"pause": "1s"}]],
    )

    def placed_steps(self) -> Iterator[PlacedStep]:
        """Yield every step, those inside others included, in the order of the file."""
        yield from _placed(self.steps, ("steps",), 1)

    def request_steps(self) -> Iterator[PlacedStep]:
        """Yield every step that sends a request, in the order of the file."""
        return (placed for placed in self.placed_steps() if placed.step.request is not None)


def _placed(steps: tuple[Step, ...], at: tuple[str | int, ...], depth: int) -> Iterator[PlacedStep]:
    for index, step in enumerate(steps):
        yield PlacedStep((*at, index), step, depth)
        for below, inner in step.alternatives():
            yield from _placed(inner, (*at, index, *below), depth + 1)
