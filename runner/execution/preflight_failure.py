"""The error for requests that fail before the load: each with its reason, advice, and the app's output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import PreflightFailed
from runner.core.load_facts import ResponseSample
from runner.core.status_advice import SERVER_ERROR, advice, check_request, describe_sample, status_advice
from runner.core.units import Seconds
from runner.execution.failed_check import failed_checks
from runner.experiment.expect import Expect
from runner.experiment.model import Load, NamedRequest
from runner.load.check_order import check_order

PATIENCE_S: Final[Seconds] = 10.0
"""A service may respond to its first request more slowly: what it sends is checked, not how fast it is."""
SKIP: Final = "--no-preflight runs the load anyway"
_TRY: Final = "`runner try` shows all of the request and of its response"
_NO_RESPONSE: Final = {
    "connect_refused": "the connection was refused",
    "connect_timeout": "no connection was possible in time",
    "reset": "the connection was reset",
    "closed_early": "the connection was closed before the response was complete",
    "timeout": "there was no complete response within {patience_s:g} s",
    "bad_redirect": "the redirect could not be followed",
    "too_many_steps": "the user has gone through too many steps",
    "extract_failed": "a value is missing in the response",
    "protocol": "the response is not valid HTTP/1.1",
    "bad_header": "a header of the response is not as expect.headers says",
    "bad_body": "the body of the response is not as {body_checks} of expect says",
    "no_port": "no local port was free",
    "no_fd": "the limit of open files was reached",
}
_SHOWN: Final = 20
_LINES_OF_EACH: Final = 3


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A request that failed its checks.

    Attributes:
        load: With this request alone.
        kind: A failure kind.
        sample: The response, in part; None without one.
        app_output: What the app wrote meanwhile, secrets masked.
    """

    load: Load
    kind: str
    sample: ResponseSample | None
    app_output: Sequence[str]

    @property
    def status(self) -> int:
        """Status code; 0 without one."""
        return self.sample.status if self.sample else 0

    @property
    def quoted(self) -> Sequence[str]:
        """What the app wrote, where that can explain the failure."""
        return self.app_output if self.kind != "bad_status" or self.status >= SERVER_ERROR else ()


def preflight_failed(failed: Sequence[FailedRequest], *, of: int, logs: Path | None) -> PreflightFailed:
    """Return the error for the requests of a configuration that failed.

    Args:
        failed: At least one.
        of: How many were sent.
        logs: The folder that the output of the stack is kept in; None if there is none.
    """
    log = (f"the app's whole output: {logs}",) if logs else ()
    if of == 1:
        (only,) = failed
        return PreflightFailed(
            f"{request_line(only.load)}, sent once before the load, failed its checks: {_what(only)}",
            hint=f"{_advice(only)}; {_TRY}; {SKIP}",
            details=(*_details(only, len(only.quoted)), *log),
        )
    lines = [line for one in failed[:_SHOWN] for line in _listed(one)]
    more = len(failed) - _SHOWN
    what = "scenarios, each tried once" if "/" in _name(failed[0].load) else "requests, each sent once"
    return PreflightFailed(
        f"{len(failed)} of {of} {what} before the load, failed their checks",
        hint=f"{_TRY}; {SKIP}",
        details=(*lines, *((f"and {more} more",) if more > 0 else ()), *log),
    )


def _listed(one: FailedRequest) -> Iterator[str]:
    yield f"{request_line(one.load)}: {_what(one)}"
    yield from (f"  {line}" for line in _details(one, _LINES_OF_EACH))
    yield f"  what to do: {_advice(one)}"


def _what(one: FailedRequest) -> str:
    load = one.load
    if one.kind == "bad_status":
        accepted = ", ".join(map(str, load.expect.status))
        key = advice("{status}", _name(load))
        return f"the status is {one.status}, and {key} accepts {accepted}"
    what = no_response(one.kind, max(load.timeout, PATIENCE_S), load.expect)
    if (
        one.kind in {"extract_failed", "bad_redirect", "too_many_steps"}
        and one.sample
        and one.sample.failed_checks
    ):
        return one.sample.failed_checks
    if one.sample is None or one.kind not in {"bad_header", "bad_body"}:
        return what
    failed = failed_checks(check_order(load.expect), one.sample)
    return f"{what}: {failed}" if failed else what


def no_response(kind: str, patience_s: Seconds, expect: Expect) -> str:
    """Return what a failure kind other than ``bad_status`` means, as a clause."""
    checks = " and ".join(expect.body_checks)
    return _NO_RESPONSE.get(kind, kind).format(patience_s=patience_s, body_checks=checks)


def _advice(one: FailedRequest) -> str:
    if one.kind == "bad_status":
        shown = one.sample.excerpt() if one.sample else None
        return status_advice(one.status, shown, request=_name(one.load))
    advised = check_request(_name(one.load), one.kind)
    return advised if "log" in advised else f"{advised}, and the service's log"


def _details(one: FailedRequest, lines: int) -> tuple[str, ...]:
    received = describe_sample(one.sample.excerpt()) if one.sample else ""
    quoted = ("the app's last output:", *one.quoted[-lines:]) if one.quoted else ()
    return (*((f"received: {received}",) if received else ()), *quoted)


def _name(load: Load) -> str:
    """Return the name of the request in a mix; empty without one."""
    return load.request.name if isinstance(load.request, NamedRequest) else ""


def request_line(load: Load) -> str:
    """Return method, path and name of the request."""
    request = load.request
    url = request.url if isinstance(request, NamedRequest) else None
    line = f"{request.method} {url or request.path}"
    kind = "step" if "/" in _name(load) else "request"
    return f"{line} ({kind} {_name(load)})" if _name(load) else line
