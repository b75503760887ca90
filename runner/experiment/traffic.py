"""What to ask and how often: the ``load`` and ``stages`` of a configuration."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from runner.core.units import Seconds
from runner.experiment.base_model import Conflict, Part, complaint, refuse
from runner.experiment.fields import AsWritten, Line, Number, Processors, Text, UrlPath, Whole, Workers
from runner.experiment.quantities import HOUR, MINUTE, Time, format_time
from runner.experiment.suggestions import shown
from runner.experiment.url import HostName

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t -~]{0,8192}")
_ENGINES_OWN: Final = {
    "connection": "load.connection decides about it",
    "content-length": "the engine counts the body itself",
    "transfer-encoding": "the engine counts the body itself",
    "expect": "the engine sends the body at once",
    "upgrade": "only HTTP/1.1 is spoken",
}


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise complaint(f"should be a header's name, not {shown(name)}")
    if reason := _ENGINES_OWN.get(name.lower()):
        raise complaint(f"the header {name} cannot be set: {reason}")
    return name


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value) or value != value.strip():
        raise complaint("a header's value is printable ASCII on one line, without blanks at its ends")
    return value


HeaderName: TypeAlias = Annotated[Text, AfterValidator(_header_name)]
HeaderValue: TypeAlias = Annotated[AsWritten, AfterValidator(_header_value)]


class Request(Part):
    """What one request says."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        "GET", description="HTTP method."
    )
    path: UrlPath = Field("/", description="Path and query, percent-encoded.", examples=["/session"])
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description="Sent with each request; Host may be set, framing may not."
    )
    body: Text | None = Field(None, description="Sent as UTF-8 with its Content-Length.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        seen: dict[str, str] = {}
        doubles = []
        for name in self.headers:
            first = seen.setdefault(name.lower(), name)
            if first != name:
                doubles.append(Conflict(("headers", name), f"the same header as {first}, whatever its case"))
        refuse(*doubles)
        return self


class Expect(Part):
    """When an answer counts as a success."""

    status: tuple[Annotated[Whole, Field(ge=200, le=599)], ...] = Field(
        (200,), min_length=1, max_length=100, description="Status codes that are a success."
    )
    body_contains: Text | None = Field(
        None, min_length=1, description="Text that a good answer's body has in it."
    )


class Load(Part):
    """How the load is offered."""

    engine: Literal["builtin", "k6"] = Field("builtin", description="What offers the load.")
    request: Request = Field(Request(), description="The request that is sent, every time.")
    expect: Expect = Field(Expect(), description="Which answers are a success; all others are failures.")
    connection: Literal["new", "keep-alive"] = Field(
        "keep-alive", description="new = one TCP connection per request; keep-alive = used again."
    )
    arrivals: Literal["constant", "poisson"] = Field(
        "constant", description="Evenly spaced, or at random with the same mean (seeded)."
    )
    max_in_flight: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        2000, description="Most requests under way at once."
    )
    when_full: Literal["drop", "queue"] = Field(
        "drop",
        description="At max_in_flight a due request is dropped and counted, or waits from its due time on.",
    )
    timeout: Annotated[Seconds, Time(least=0.001, most=MINUTE)] = Field(
        10.0, description="How long one request may take from when it is taken up."
    )
    workers: Workers = Field("auto", description="Generator processes; auto = as rate and host ask for.")
    quantum: Annotated[Seconds, Time(least=1e-6, most=0.001, zero=True)] | None = Field(
        None,
        description="Arrivals of one quantum leave together, which costs less CPU; 0 = each at its own "
        "microsecond. Without it: 0 up to 4,000 requests a second and worker, 250us above.",
        examples=["250us"],
    )
    cpus: Processors = Field(
        (), description="Processors the generator stays on; empty = any.", examples=[[0]]
    )
    cross_check: Annotated[bool, Field(strict=True)] = Field(
        False, description="Run each stage with the other engine as well, and compare."
    )
    allow_hosts: tuple[HostName, ...] = Field(
        (),
        max_length=64,
        description="Hosts beyond this machine that load may be put on; also needs --i-am-authorized.",
        examples=[["staging.example.com"]],
    )
    seed: Annotated[Whole, Field(ge=0, le=2**53 - 1)] = Field(
        1, description="Seeds Poisson arrivals and the order of repeated trials."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        k6 = self.engine == "k6" or self.cross_check
        who = "engine k6" if self.engine == "k6" else "cross_check uses engine k6, which"
        refuse(
            Conflict(("expect", "body_contains"), "an answer to HEAD has no body")
            if self.request.method == "HEAD" and self.expect.body_contains is not None
            else None,
            Conflict(("arrivals",), f"{who} knows only constant arrivals")
            if k6 and self.arrivals == "poisson"
            else None,
            Conflict(("when_full",), f"{who} drops what it cannot send; it has no queue")
            if k6 and self.when_full == "queue"
            else None,
            Conflict(("quantum",), "engine k6 decides itself when a request leaves")
            if self.engine == "k6" and self.quantum is not None
            else None,
            Conflict(("cpus",), "engine k6 cannot be kept on some processors")
            if self.engine == "k6" and self.cpus
            else None,
        )
        return self


def stage_name(rps: float) -> str:
    """The name of a stage that has none: ``4,000 RPS``, ``0.5 RPS``."""
    return f"{rps:,.0f} RPS" if rps == int(rps) else f"{rps:,.6f}".rstrip("0").rstrip(".") + " RPS"


def _default_name(stage: dict[str, Any]) -> str:
    return stage_name(stage["rps"])


class Stage(Part):
    """One offered rate held for a duration, after an optional warm-up."""

    rps: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        description="Requests offered per second, whatever the answers.", examples=[1000]
    )
    duration: Annotated[Seconds, Time(most=24 * HOUR)] = Field(
        description="Length of the measured window.", examples=["30s"]
    )
    warmup: Annotated[Seconds, Time(most=HOUR, zero=True)] = Field(
        0.0, description="The same rate before the window, not counted.", examples=["5s"]
    )
    name: Line = Field(
        default_factory=_default_name, max_length=60, description="Defaults to the rate, such as '4,000 RPS'."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rps * self.duration < 1:
            message = f"{self.name} for {format_time(self.duration)} is less than one request"
            refuse(Conflict(("duration",), message))
        return self
