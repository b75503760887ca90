"""What an import reads from a file, before it is written as a specification.

Texts of a request are kept as they were recorded. Where a value of a variable stands in one, the text is a
tuple of literal pieces and references, so that nothing recorded is ever taken for a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from runner.core.template import Reference
from runner.core.units import Seconds

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What a request of a specification can have as its method."""

Text: TypeAlias = str | tuple[str | Reference, ...]
"""A recorded text, or its pieces."""
Extract: TypeAlias = Mapping[str, str]
"""Where a value stands in a response, with the keys of a specification: ``{"json": "$.token"}``."""
BodyKind: TypeAlias = Literal["json", "form", "multipart", "body"]


def written(text: Text) -> str:
    """Return a text as a template, with each recorded ``${`` as ``$${``."""
    if isinstance(text, str):
        return text.replace("${", "$${")
    return "".join(str(piece) if isinstance(piece, Reference) else written(piece) for piece in text)


def joined(*pieces: str | Reference) -> Text:
    """Return pieces as a text; a single string where there is no reference.

    A ``$`` directly before a reference cannot be written, because ``$${`` is a literal ``${``.

    Raises:
        ValueError: A literal piece before a reference ends in ``$``.
    """
    for piece, following in pairwise(pieces):
        if isinstance(following, Reference) and isinstance(piece, str) and piece.endswith("$"):
            raise ValueError("a $ stands directly before a reference")
    if any(isinstance(piece, Reference) for piece in pieces):
        return tuple(piece for piece in pieces if piece != "")
    return "".join(map(str, pieces))


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body.

    Attributes:
        filename: Name of the file that it was; empty for a field.
        content_type: Its media type; empty if it has none.
    """

    name: str
    value: Text
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request.

    Attributes:
        kind: The key of a specification for it.
        content: A JSON value whose texts may be `Text`; pairs of a name and a `Text`; parts; or a `Text`.
    """

    kind: BodyKind
    content: Any


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """A request of a mix or of a scenario.

    Attributes:
        name: Valid for a request, unique among its neighbours.
        path: Percent-encoded, without a query.
        url: What is requested instead of the path, such as an extracted Location; empty for the path.
        query: Parameters in order, not encoded.
        statuses: Codes and classes of a successful response.
        weight: Its share of a mix.
        follow_redirects: How many redirects the response went through.
        extract: Name of each value that later steps insert to where it stands in the response.
    """

    name: str
    method: str = "GET"
    path: Text = "/"
    url: Text = ""
    query: tuple[tuple[str, Text], ...] = ()
    headers: tuple[tuple[str, Text], ...] = ()
    body: Body | None = None
    statuses: tuple[int | str, ...] = (200,)
    weight: float = 1
    follow_redirects: int = 0
    extract: Mapping[str, Extract] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PauseDraft:
    """A pause of the user, in seconds."""

    seconds: Seconds


@dataclass(frozen=True, slots=True)
class ChoiceDraft:
    """One of several requests, each with its weight."""

    requests: tuple[RequestDraft, ...]


@dataclass(frozen=True, slots=True)
class RepeatDraft:
    """Steps that are repeated.

    Attributes:
        times: At most.
        until: Name of an extracted value to what it is at the end; empty for no such condition.
    """

    steps: tuple[RequestDraft | PauseDraft, ...]
    times: int
    until: Mapping[str, Any] = field(default_factory=dict)


StepDraft: TypeAlias = RequestDraft | PauseDraft | ChoiceDraft | RepeatDraft


def requests_of(step: StepDraft) -> tuple[RequestDraft, ...]:
    """Return the requests of a step."""
    if isinstance(step, ChoiceDraft):
        return step.requests
    if isinstance(step, RepeatDraft):
        return tuple(one for one in step.steps if isinstance(one, RequestDraft))
    return () if isinstance(step, PauseDraft) else (step,)


@dataclass(frozen=True, slots=True)
class ScenarioDraft:
    """What one user does."""

    name: str
    steps: tuple[StepDraft, ...]
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a file says about the traffic.

    Attributes:
        source: What the file is, with an article: ``a browser's recording (HAR)``.
        name: What the service is called; empty if the file does not say so.
        url: Where the service was; empty if the file does not say so.
        requests: A mix; empty with scenarios.
        scenarios: What users do; empty with a mix.
        variables: Name to definition, as in a specification.
        rates: Requests, or users of scenarios, per second, of each stage; the first is the measured one.
        files: Rows of variables: name of each file beside the specification to its content.
        left_out: Each thing that could not be taken over, one line each.
        changed: Each thing that differs from the file, one line each.
    """

    source: str
    name: str = ""
    url: str = ""
    requests: tuple[RequestDraft, ...] = ()
    scenarios: tuple[ScenarioDraft, ...] = ()
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def at(self, url: str) -> Draft:
        """Return the draft for a service at another URL, from which its pages then send requests."""
        if not self.url:
            return replace(self, url=url)
        scenarios = tuple(
            replace(one, steps=tuple(_step_at(step, self.url, url) for step in one.steps))
            for one in self.scenarios
        )
        return replace(self, url=url, scenarios=scenarios)

    def with_prefix(self, name: str) -> Draft:
        """Return the draft with the names of its files after a name and a hyphen."""
        variables = {
            key: one | {"csv": f"{name}-{one['csv']}"} if "csv" in one else one
            for key, one in ((key, dict(one)) for key, one in self.variables.items())
        }
        files = {f"{name}-{file}": content for file, content in self.files.items()}
        return replace(self, variables=variables, files=files)

    @property
    def summary(self) -> str:
        """How much it has: ``1 scenario with 12 requests``."""
        if not self.scenarios:
            return f"a mix of {counted(len(self.requests), 'request')}"
        steps = [step for one in self.scenarios for step in one.steps]
        requests = sum(len(requests_of(step)) for step in steps)
        return f"{counted(len(self.scenarios), 'scenario')} with {counted(requests, 'request')}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The environment variables that must be set before a run."""
        return tuple(str(one["env"]) for one in self.variables.values() if "env" in one)


def _step_at(step: StepDraft, old: str, new: str) -> StepDraft:
    """Return a step whose requests say that they come from a page at another URL."""
    if isinstance(step, RequestDraft):
        return _request_at(step, old, new)
    if isinstance(step, RepeatDraft):
        inside = (_request_at(one, old, new) if isinstance(one, RequestDraft) else one for one in step.steps)
        return replace(step, steps=tuple(inside))
    return step


def _request_at(request: RequestDraft, old: str, new: str) -> RequestDraft:
    headers = ((name, _page_at(name, value, old, new)) for name, value in request.headers)
    return replace(request, headers=tuple(headers))


def _page_at(name: str, value: Text, old: str, new: str) -> Text:
    is_page = name in {"Origin", "Referer"} and isinstance(value, str) and value.startswith(old)
    return f"{new.rstrip('/')}{value[len(old) :]}" if is_page else value


def counted(number: int, noun: str) -> str:
    """Return ``1 request`` or ``2 requests``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
