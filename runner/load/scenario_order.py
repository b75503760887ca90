"""The scenarios in a worker's order: what a user does in each, as a tree of steps."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from runner.core.units import Nanoseconds

MAX_VISITED: Final = 1000
"""How many entries of a list a `ForEachStep` visits at most."""
MAX_EXECUTED: Final = 10_000
"""How many requests and pauses one user goes through at most, those of each entry of a list counted."""
MAX_OPERATIONS: Final = 200_000
"""The same with every round of a loop and every branch, which may contain neither request nor pause."""


class ExtractOrder(Struct, frozen=True, omit_defaults=True):
    """A value to take out of a response.

    Attributes:
        name: Of the value.
        json: JSONPath to it in the body; empty for another source.
        header: Header with it, in small letters; empty for another source.
        cookie: The user's cookie with it; empty for another source.
        regex: Expression whose first group it is, in the header or cookie, or else in the body.
        pick: Which of several values.
        entries: Whether a path to one list means its entries.
        key: Of the random numbers of ``random``.
        optional: Whether it may be absent.
        default: What it is then; empty for nothing, else one value.
    """

    name: str
    json: str = ""
    header: str = ""
    cookie: str = ""
    regex: str = ""
    pick: Literal["first", "last", "random", "all"] = "first"
    entries: bool = False
    key: int = 0
    optional: bool = False
    default: tuple[Any, ...] = ()

    @property
    def needs_body(self) -> bool:
        """Whether it stands in the body."""
        return not self.header and not self.cookie


class Condition(Struct, frozen=True, omit_defaults=True):
    """What holds for an extracted value.

    Attributes:
        name: Of the value.
        values: It equals one of them; empty for any value.
        min: It is a number of at least this; so is text that is one.
        max: It is a number of at most this.
        matches: Regular expression that matches in its text.
        exists: Whether there is a value at all.
        as_text: Whether it is compared as text, because it came from text.
    """

    name: str
    values: tuple[Any, ...] = ()
    min: float | None = None
    max: float | None = None
    matches: str = ""
    exists: bool = True
    as_text: bool = False


class RequestStep(Struct, frozen=True, tag="request"):
    """Sends a request and waits for the response.

    Attributes:
        name: Of the step.
        request: Its index in the order's requests.
        extracts: What is taken out of the response.
        follow: How many redirects are followed.
        own_cookies: Whether it has a Cookie header of its own, to which the user's cookies are added.
        url: Whether its target is a URL to be resolved against that of the user's last response.
    """

    name: str
    request: int
    extracts: tuple[ExtractOrder, ...] = ()
    follow: int = 0
    own_cookies: bool = False
    url: bool = False


class PauseStep(Struct, frozen=True, tag="pause"):
    """Waits between `low_ns` and `high_ns`; `key` is that of the random numbers."""

    key: int
    low_ns: Nanoseconds
    high_ns: Nanoseconds


class RepeatStep(Struct, frozen=True, tag="repeat"):
    """Goes through steps several times, or until conditions hold after one of them."""

    times: int
    steps: tuple[WorkerStep, ...]
    until: tuple[Condition, ...] = ()


class ProbabilityStep(Struct, frozen=True, tag="probability"):
    """Goes through steps with some probability."""

    key: int
    probability: float
    steps: tuple[WorkerStep, ...]


class ChooseStep(Struct, frozen=True, tag="choose"):
    """Goes through one of several lists of steps, by their weights."""

    key: int
    weights: tuple[float, ...]
    branches: tuple[tuple[WorkerStep, ...], ...]


class ForEachStep(Struct, frozen=True, tag="for_each"):
    """Goes through steps for each entry of the list `items`, which is called `item` there."""

    items: str
    item: str
    steps: tuple[WorkerStep, ...]


class IfStep(Struct, frozen=True, tag="if"):
    """Goes through steps if all conditions hold, else through others."""

    conditions: tuple[Condition, ...]
    steps: tuple[WorkerStep, ...]
    otherwise: tuple[WorkerStep, ...] = ()


WorkerStep: TypeAlias = (
    RequestStep | PauseStep | RepeatStep | ProbabilityStep | ChooseStep | ForEachStep | IfStep
)


class WorkerScenario(Struct, frozen=True):
    """What one kind of user does.

    Attributes:
        name: Of the scenario.
        weight: Its share of all users, in proportion to the others'.
        steps: In order.
    """

    name: str
    weight: float
    steps: tuple[WorkerStep, ...]


class AllowedHost(Struct, frozen=True):
    """A host to which a redirect may lead.

    Attributes:
        name: In small letters.
        family: Address family number of `address`.
        address: Already resolved.
    """

    name: str
    family: int
    address: str


class ScenarioOrder(Struct, frozen=True):
    """What the users of a stage do.

    Attributes:
        scenarios: At least one.
        scheme: Of the target.
        host: Of the target, in small letters.
        port: Of the target.
        hosts: Where redirects may lead, beside the target's host.
        per_user: Whether a user's connections are closed at its end.
        per_request: Names of the variables of which each request gets another value, not each user.
        first: Number of users before this stage.
    """

    scenarios: tuple[WorkerScenario, ...]
    scheme: Literal["http", "https"]
    host: str
    port: int
    hosts: tuple[AllowedHost, ...] = ()
    per_user: bool = False
    per_request: tuple[str, ...] = ()
    first: int = 0
