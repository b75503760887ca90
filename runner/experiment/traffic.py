"""Which requests are sent, and how: the ``load`` of a configuration."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from runner.core.units import Seconds
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.expect import Expect
from runner.experiment.fields import Processors, Whole, Workers
from runner.experiment.load_nodes import LoadNodes
from runner.experiment.quantities import MINUTE, Time
from runner.experiment.request import MAX_REDIRECTS, MAX_REQUESTS, NamedRequest, Request
from runner.experiment.url import HostName
from runner.experiment.variables import MAX_VARIABLES, VariableName, long_orders, problems

if TYPE_CHECKING:
    from runner.experiment.scenario import Scenario
    from runner.experiment.variable import Variable

    _Scenario: TypeAlias = Scenario
    _Variable: TypeAlias = Variable
else:
    _Scenario = Annotated[Any, WhenUsed("runner.experiment.scenario", "Scenario")]
    _Variable = Annotated[Any, WhenUsed("runner.experiment.variable", "Variable")]

MAX_SCENARIOS: Final = 20
Connection: TypeAlias = Literal["new", "keep-alive", "per-user"]
"""Which requests share a connection."""


class Load(SpecModel):
    """How the load is offered."""

    engine: Literal["builtin", "k6"] = Field("builtin", description="Load generator.")
    variables: dict[VariableName, _Variable] = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="Values that ${name} inserts in path, query, headers and body; $${ is a literal ${. A "
        "JSON text that is only one ${name} keeps the value's type.",
        examples=[{"token": {"env": "API_TOKEN"}, "quantity": {"int": [1, 5]}}],
    )
    request: Request = Field(default_factory=dict, validate_default=True, description="The request to send.")
    expect: Expect = Field(
        default_factory=dict,
        validate_default=True,
        description="Criteria for a successful response; all other responses are failures.",
    )
    requests: tuple[Annotated[NamedRequest, WhenUsed()], ...] = Field(
        (),
        min_length=1,
        max_length=MAX_REQUESTS,
        description="Several requests with weights, instead of `request`; their shares are exact. Beside "
        "scenarios, requests that their steps refer to by name.",
        examples=[[{"name": "search", "weight": 3, "path": "/search"}, {"name": "home"}]],
    )
    scenarios: tuple[_Scenario, ...] = Field(
        (),
        min_length=1,
        max_length=MAX_SCENARIOS,
        description="What users do, step by step, instead of `request`; their shares of the users are exact. "
        "Each run of a scenario is a new user, with cookies and values of its own.",
        examples=[
            [{"name": "visit", "steps": [{"request": {"name": "home", "path": "/"}}, {"pause": "1s"}]}]
        ],
    )
    follow_redirects: Annotated[Whole, Field(ge=0, le=MAX_REDIRECTS)] = Field(
        0,
        description="How many redirects a request of a scenario follows; each is a request of the same step. "
        "0 = a redirect is a response like any other.",
    )
    connection: Connection = Field(
        "keep-alive",
        description="new = one TCP connection per request; keep-alive = connections are reused; per-user = "
        "each user of a scenario opens its own, and closes them at its end.",
    )
    arrivals: Literal["constant", "poisson"] = Field(
        "constant", description="constant = evenly spaced; poisson = random with the same mean (seeded)."
    )
    max_in_flight: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        2000, description="Maximum number of concurrent requests; with scenarios, of users."
    )
    when_full: Literal["drop", "queue"] = Field(
        "drop",
        description="At max_in_flight, drop = a due request is not sent and counts as dropped; queue = it "
        "waits, and its response time includes the wait. With scenarios, the same holds for users.",
    )
    timeout: Annotated[Seconds, Time(min_s=0.001, max_s=30 * MINUTE)] = Field(
        10.0,
        description="Time limit for one request, including the connection set-up; with scenarios also for "
        "users who are under way when a stage ends.",
    )
    workers: Workers = Field(
        "auto", description="Generator processes; auto = depends on the rate and the host."
    )
    quantum: Annotated[Seconds, Time(min_s=1e-6, max_s=0.001, zero=True)] | None = Field(
        None,
        description="Requests due within one quantum are sent together, which costs less CPU; 0 = each is "
        "sent at its own microsecond. Default: 0 up to 4,000 requests per second and worker, 250us above.",
        examples=["250us"],
    )
    cpus: Processors = Field(
        (), description="Processors that the generator is bound to; empty = any.", examples=[[0]]
    )
    nodes: LoadNodes | None = Field(
        None,
        description="Nodes of a Docker Swarm that send the load: their number, or constraints that all of "
        "them meet. By default one node for kind swarm, else this machine.",
        examples=[2],
    )
    cross_check: Annotated[bool, Field(strict=True)] = Field(
        False, description="Also run each stage with the other engine, and compare the results."
    )
    allow_hosts: tuple[HostName, ...] = Field(
        (),
        max_length=64,
        description="Remote hosts that may receive load; also requires --i-am-authorized.",
        examples=[["staging.example.com"]],
    )
    seed: Annotated[Whole, Field(ge=0, le=2**53 - 1)] = Field(
        1, description="Seed of Poisson arrivals and of the order of repeated trials."
    )

    @property
    def is_mix(self) -> bool:
        """Whether it has several named requests, which have results of their own."""
        return bool(self.requests or self.scenarios)

    @property
    def parts(self) -> tuple[NamedRequest, ...]:
        """The requests to send, each with its criteria; the only one of a load without a mix has no name.

        Those of scenarios are all steps that send a request, in order, named ``scenario/step``.
        """
        if self.scenarios:
            from runner.experiment.scenario_requests import step_requests  # noqa: PLC0415  (only for scenarios)

            return step_requests(self)
        if not self.requests:
            fields = {name: getattr(self.request, name) for name in Request.model_fields}
            return (NamedRequest.model_construct(name="", weight=1.0, expect=self.expect, **fields),)
        default = {"expect": self.expect}
        return tuple(one if one.expect else one.model_copy(update=default) for one in self.requests)

    @property
    def placed_requests(self) -> Iterator[tuple[tuple[str | int, ...], Request]]:
        """Each request as it is written, after the keys that lead to it."""
        if not self.requests and not self.scenarios:
            yield ("request",), self.request
        for index, scenario in enumerate(self.scenarios):
            for placed in scenario.request_steps():
                if isinstance(placed.step.request, Request):
                    yield ("scenarios", index, *placed.at, "request"), placed.step.request
        for index, request in enumerate(self.requests):
            yield ("requests", index), request

    @property
    def shares(self) -> dict[str, float]:
        """Name of each request of a mix to its share of all; empty without a mix, and of scenarios."""
        total = sum(one.weight for one in self.requests)
        return {} if self.scenarios else {one.name: one.weight / total for one in self.requests}

    @property
    def scenario_shares(self) -> dict[str, float]:
        """Name of each scenario to its share of all users; empty without scenarios."""
        total = sum(one.weight for one in self.scenarios)
        return {one.name: one.weight / total for one in self.scenarios}

    @property
    def hosts_to_follow(self) -> tuple[str, ...]:
        """The hosts other than the target's to which responses may lead users of scenarios."""
        if not self.scenarios:
            return ()
        leads_elsewhere = any(part.follow_redirects or part.url for part in self.parts)
        return self.allow_hosts if leads_elsewhere else ()

    @property
    def alternatives(self) -> tuple[tuple[float, tuple[NamedRequest, ...]], ...]:
        """What an arrival is one of, each with its weight and requests: scenarios, or single requests."""
        if not self.scenarios:
            return tuple((part.weight, (part,)) for part in self.parts)
        parts = self.parts
        return tuple(
            (one.weight, tuple(part for part in parts if part.name.startswith(f"{one.name}/")))
            for one in self.scenarios
        )

    @property
    def referenced_requests(self) -> set[str]:
        """The names of the requests that steps of scenarios refer to."""
        steps = [placed.step for one in self.scenarios for placed in one.request_steps()]
        return {step.request for step in steps if isinstance(step.request, str)}

    def unused_keys(self) -> frozenset[str]:
        """Return the forms of the requests that it does not have, and keys that only scenarios use."""
        given = {key for key in ("requests", "scenarios") if getattr(self, key)}
        unused = {"requests", "scenarios", "follow_redirects"} if not self.scenarios else {"requests"}
        return frozenset((unused - given) | ({"request"} if given else set()))

    @model_serializer(mode="wrap")
    def _in_one_form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if key not in self.unused_keys()}

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.scenarios:
            from runner.experiment.scenario_conflicts import conflicts  # noqa: PLC0415  (only for scenarios)

            refuse(*self._mix_conflicts(), *conflicts(self))
            return self
        refuse(*self._mix_conflicts(), *self._variable_conflicts(), *self._impossible_checks())
        refuse(*self._without_scenarios())
        if self.engine == "k6" or self.cross_check:
            from runner.experiment.k6_limits import k6_conflicts  # noqa: PLC0415  (few specifications use k6)

            refuse(*k6_conflicts(self))
        return self

    def _mix_conflicts(self) -> Iterator[Conflict | None]:
        other = "scenarios" if self.scenarios else "requests"
        both = self.is_mix and "request" in self.model_fields_set
        hint = "remove one of them; null removes a shared key in a configuration"
        yield conflict_if(both, ("request",), f"cannot be combined with {other}", hint)
        names = [request.name for request in self.requests]
        for index, name in enumerate(names):
            first = names.index(name)
            message = f"the name '{name}' is already used by requests[{first}]"
            yield conflict_if(first < index, ("requests", index, "name"), message)

    def _without_scenarios(self) -> Iterator[Conflict | None]:
        """Yield what only scenarios can have."""
        message = "has no effect without load.scenarios: only the users of scenarios {}"
        follows = message.format("follow redirects")
        yield conflict_if(self.follow_redirects, ("follow_redirects",), follows, "remove it")
        per_user = self.connection == "per-user"
        own = message.format("have connections of their own")
        yield conflict_if(per_user, ("connection",), own, "use new or keep-alive")
        for index, request in enumerate(self.requests):
            for key in request.keys_of_scenarios:
                yield Conflict(("requests", index, key), "is possible in scenarios only", "remove it")
        for name, variable in self.variables.items():
            keeps = message.format("keep a value")
            yield conflict_if(variable.scope, ("variables", name, "scope"), keeps, "remove it")

    def _variable_conflicts(self) -> Iterator[Conflict]:
        for at, request in self.placed_requests:
            yield from problems(request, at, self.variables)
        yield from long_orders(self.variables, [request.weight for request in self.requests])

    def _impossible_checks(self) -> Iterator[Conflict]:
        for index, part in enumerate(self.parts):
            own = self.requests and self.requests[index].expect
            at = ("requests", index, "expect") if own else ("expect",)
            for conflict in (own or self.expect).conflicts_with(part.method):
                yield Conflict((*at, *conflict.at), conflict.message)
