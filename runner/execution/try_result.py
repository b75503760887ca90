"""What `runner try` shows of a request: secrets masked, cut to a size, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runner.core.load_facts import ResponseSample
from runner.core.masking import mask_bytes, mask_secrets
from runner.core.status_advice import advice, status_advice
from runner.core.units import NS_PER_S, Seconds
from runner.execution.attempts import Attempt
from runner.execution.failed_check import failed_checks
from runner.execution.preflight_failure import no_response
from runner.experiment.expect import Expect
from runner.load.check_order import check_order
from runner.load.checks import header_fields
from runner.load.try_records import Exchanged

_MAX_VALUE: Final = 300
_MAX_CHECKS: Final = 20
_REDIRECTION: Final = 3
_SEPARATOR: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRequest:
    """A request that was sent once, ready to be shown.

    Attributes:
        step: Its name; empty for the only request of a load.
        url: Where it was sent.
        request: Its lines, the body behind an empty line.
        is_redirected: Whether it follows a redirect.
        status: Of the response; 0 without one.
        head: Lines of the response's head.
        body: The beginning of its body as text; empty for bytes that are no text.
        body_bytes: Size of the body as it was received.
        values: Name to extracted value, as JSON or text.
        cookie_problems: Sentences about the cookies of the response that are not kept or not sent.
        problem: Why it failed; empty if it passed.
        advice: What to do then.
        checked: What was checked, as in ``status 201, json $.state``.
        duration_s: None without a response.
    """

    step: str
    url: str
    request: tuple[str, ...]
    is_redirected: bool
    status: int
    head: tuple[str, ...]
    body: str
    body_bytes: int
    values: Mapping[str, str]
    cookie_problems: tuple[str, ...]
    problem: str
    advice: str
    checked: str
    duration_s: Seconds | None


def tried_request(
    record: Exchanged, attempt: Attempt, secrets: Mapping[str, str], patience_s: Seconds
) -> TriedRequest:
    """Return what is shown of a request.

    Args:
        record: What was sent and received.
        attempt: What it belongs to.
        secrets: Name to value of what is masked.
        patience_s: How long its response was waited for.
    """
    expect = attempt.load.parts[record.part].criteria
    sample = _sample(record, secrets)
    problem = _problem(record, expect, sample, patience_s)
    return TriedRequest(
        step=record.step if attempt.name else "",
        url=mask_secrets(record.url, secrets),
        request=_request_lines(record, secrets),
        is_redirected=record.is_redirected,
        status=record.status,
        head=tuple(_text(record.head, secrets).rstrip("\r\n").splitlines()),
        body=sample.body,
        body_bytes=record.body_bytes,
        values={name: _value(value, secrets) for name, value in record.values.items()},
        cookie_problems=_cookie_problems(record, attempt, secrets),
        problem=mask_secrets(problem, secrets),
        advice=_advice(record, sample, attempt) if problem else "",
        checked=_checked(expect, record),
        duration_s=record.duration_ns / NS_PER_S if record.duration_ns >= 0 else None,
    )


def _cookie_problems(record: Exchanged, attempt: Attempt, secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is wrong with cookies; nothing for single requests, which have no user who keeps them."""
    problems = record.cookie_problems if attempt.is_scenario else ()
    return tuple(mask_secrets(problem, secrets) for problem in problems)


def _request_lines(record: Exchanged, secrets: Mapping[str, str]) -> tuple[str, ...]:
    head, _, body = mask_bytes(record.request, secrets).partition(_SEPARATOR)
    lines = head.decode("latin-1").splitlines()
    if not body:
        return tuple(lines)
    text = _as_text(body)
    shown = text.splitlines() if text else [f"({len(body):,} bytes)"]
    return (*lines, "", *shown)


def _sample(record: Exchanged, secrets: Mapping[str, str]) -> ResponseSample:
    """Return the response, masked, as far as it is text."""
    fields = header_fields(record.head) if record.head else {}
    headers = tuple((name, mask_secrets(value, secrets)) for name, value in fields.items())
    body = _as_text(mask_bytes(record.body, secrets))
    return ResponseSample(record.failure or "bad_body", record.status, headers, body)


def _text(data: bytes, secrets: Mapping[str, str]) -> str:
    return mask_bytes(data, secrets).decode("latin-1")


def _as_text(data: bytes) -> str:
    """Return the text that some bytes are, of which the last character may be cut off; empty for others."""
    for cut in range(4):
        try:
            text = data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
        return "" if "\0" in text else text
    return ""


def _value(value: Any, secrets: Mapping[str, str]) -> str:
    text = mask_secrets(value if isinstance(value, str) else msgspec.json.encode(value).decode(), secrets)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}… ({len(text):,} characters)"


def _problem(record: Exchanged, expect: Expect, sample: ResponseSample, patience_s: Seconds) -> str:
    """Return why a request failed; empty if it passed."""
    if not record.failure:
        return ""
    if record.reason:
        return record.reason
    if record.failure == "bad_status":
        accepted = ", ".join(map(str, expect.status))
        return f"the status is {record.status}, and expect.status accepts {accepted}"
    what = no_response(record.failure, patience_s, expect)
    failed = (
        failed_checks(check_order(expect), sample) if record.failure in {"bad_header", "bad_body"} else ""
    )
    return f"{what}: {failed}" if failed else what


def _advice(record: Exchanged, sample: ResponseSample, attempt: Attempt) -> str:
    """Return what to do about a status; empty about other failures, which say it themselves."""
    if record.failure != "bad_status":
        return ""
    name = attempt.load.parts[record.part].name if attempt.is_scenario else attempt.name
    if attempt.is_scenario and record.status // 100 == _REDIRECTION:
        return advice("set follow_redirects of the step, or accept the status in {status}", name)
    return status_advice(record.status, sample.excerpt(), request=name)


def _checked(expect: Expect, record: Exchanged) -> str:
    """Return what a response passed."""
    keys = [key for key in expect.body_checks if key != "json"]
    names = [f"status {record.status}", *(f"header {name}" for name in expect.headers), *keys]
    names += [f"json {path}" for path in expect.json_checks]
    more = [f"{len(names) - _MAX_CHECKS} more"] if len(names) > _MAX_CHECKS else []
    return ", ".join([*names[:_MAX_CHECKS], *more])
