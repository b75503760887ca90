"""Which requests are sent, and how often: the ``load`` and ``stages`` of a configuration."""

import re
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from runner.core.units import Seconds
from runner.experiment.base_model import SpecModel, conflict_if, invalid_value, refuse
from runner.experiment.fields import AsWritten, Line, Number, Processors, Text, UrlPath, Whole, Workers
from runner.experiment.quantities import HOUR, MINUTE, Time, format_time
from runner.experiment.suggestions import display
from runner.experiment.url import HostName

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t -~]{0,8192}")
_RESERVED_HEADERS: Final = {
    "connection": "load.connection determines it",
    "content-length": "the engine computes it from the body",
    "transfer-encoding": "the engine always sends Content-Length",
    "expect": "the engine sends the body immediately",
    "upgrade": "only HTTP/1.1 is supported",
}


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise invalid_value(f"should be a header name, not {display(name)}")
    if reason := _RESERVED_HEADERS.get(name.lower()):
        raise invalid_value(f"the header {name} cannot be set: {reason}")
    return name


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value) or value != value.strip():
        raise invalid_value("should be printable ASCII on one line, without spaces at the beginning or end")
    return value


HeaderName: TypeAlias = Annotated[Text, AfterValidator(_header_name)]
HeaderValue: TypeAlias = Annotated[AsWritten, AfterValidator(_header_value)]


class Request(SpecModel):
    """One HTTP request."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        "GET", description="HTTP method."
    )
    path: UrlPath = Field("/", description="Path and query, percent-encoded.", examples=["/session"])
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        description="Headers of every request; Host can be set, headers for connection and framing cannot.",
    )
    body: Text | None = Field(None, description="Request body, sent as UTF-8 with Content-Length.")

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        seen: dict[str, str] = {}
        firsts = {name: seen.setdefault(name.lower(), name) for name in self.headers}
        duplicates = "duplicates {}; header names are case-insensitive"
        refuse(
            *(
                conflict_if(first != name, ("headers", name), duplicates.format(first))
                for name, first in firsts.items()
            )
        )
        return self


class Expect(SpecModel):
    """Criteria for a successful response."""

    status: tuple[Annotated[Whole, Field(ge=200, le=599)], ...] = Field(
        (200,), min_length=1, max_length=100, description="Status codes of a successful response."
    )
    body_contains: Text | None = Field(
        None, min_length=1, description="Text that the body of a successful response contains."
    )


class Load(SpecModel):
    """How the load is offered."""

    engine: Literal["builtin", "k6"] = Field("builtin", description="Load generator.")
    request: Request = Field(default_factory=dict, validate_default=True, description="The request to send.")
    expect: Expect = Field(
        default_factory=dict,
        validate_default=True,
        description="Criteria for a successful response; all other responses are failures.",
    )
    connection: Literal["new", "keep-alive"] = Field(
        "keep-alive", description="new = one TCP connection per request; keep-alive = connections are reused."
    )
    arrivals: Literal["constant", "poisson"] = Field(
        "constant", description="constant = evenly spaced; poisson = random with the same mean (seeded)."
    )
    max_in_flight: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        2000, description="Maximum number of concurrent requests."
    )
    when_full: Literal["drop", "queue"] = Field(
        "drop",
        description="At max_in_flight, drop = a due request is not sent and counts as dropped; queue = it "
        "waits, and its response time includes the wait.",
    )
    timeout: Annotated[Seconds, Time(min_s=0.001, max_s=MINUTE)] = Field(
        10.0, description="Time limit for one request, including the connection set-up."
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

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        k6 = self.engine == "k6" or self.cross_check
        subject = "engine k6" if self.engine == "k6" else "cross_check uses engine k6, which"
        no_body = self.request.method == "HEAD" and self.expect.body_contains is not None
        quantum = self.engine == "k6" and self.quantum is not None
        queue, bound = k6 and self.when_full == "queue", self.engine == "k6" and self.cpus
        no_queue = f"{subject} has no queue: it always drops at max_in_flight"
        no_quantum = "engine k6 has no quantum; it chooses the sending times itself"
        only_constant = f"{subject} supports only constant arrivals"
        refuse(
            conflict_if(no_body, ("expect", "body_contains"), "a response to HEAD has no body"),
            conflict_if(k6 and self.arrivals == "poisson", ("arrivals",), only_constant),
            conflict_if(queue, ("when_full",), no_queue),
            conflict_if(quantum, ("quantum",), no_quantum),
            conflict_if(bound, ("cpus",), "engine k6 cannot be bound to processors"),
        )
        return self


def stage_name(rps: float) -> str:
    """Return the default name of a stage: ``4,000 RPS``, ``0.5 RPS``."""
    return f"{rps:,.0f} RPS" if rps == int(rps) else f"{rps:,.6f}".rstrip("0").rstrip(".") + " RPS"


class Stage(SpecModel):
    """One rate offered for a duration, after an optional warm-up."""

    rps: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        description="Offered requests per second, independent of the responses.", examples=[1000]
    )
    duration: Annotated[Seconds, Time(max_s=24 * HOUR)] = Field(
        description="Length of the measured window.", examples=["30s"]
    )
    warmup: Annotated[Seconds, Time(max_s=HOUR, zero=True)] = Field(
        0.0, description="Load at the same rate before the window; not measured.", examples=["5s"]
    )
    name: Line = Field(
        default_factory=lambda given: stage_name(given["rps"]),
        max_length=60,
        description="Defaults to the rate, such as '4,000 RPS'.",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        message = f"{self.name} for {format_time(self.duration)} is less than one request"
        refuse(conflict_if(self.rps * self.duration < 1, ("duration",), message))
        return self
