"""Names the checks that a response does not pass: what is expected, and what was received.

It works on the printable sample, secrets masked, which may be only the beginning of a response. So it says
what was received only where the sample shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from runner.core import jsonpath
from runner.core.load_facts import MAX_SAMPLE, LoadFacts, LoadSecond, ResponseSample
from runner.experiment.traffic import Load
from runner.load.check_order import check_order
from runner.load.checks import CheckOrder, Checks, HeaderCheck, JsonCheck

_SHOWN_CHECKS: Final = 3
_SHOWN_CHARACTERS: Final = 80
_CHECKED: Final = ("bad_header", "bad_body")


def with_failed_checks(facts: LoadFacts, load: Load) -> LoadFacts:
    """Return the facts with the failed checks in each sample of a response that did not pass them.

    Args:
        facts: What was measured; its samples are printable, with secrets masked.
        load: What was offered.
    """
    if not any(second.samples for second in facts.seconds):
        return facts
    orders = {request.name: check_order(request.expect or load.expect) for request in load.parts}
    named = [(name, orders[name]) for name in facts.parts if name in orders]
    whole = check_order(load.expect)
    return replace(
        facts, seconds=tuple(_with_failed_checks(second, named, whole) for second in facts.seconds)
    )


def _with_failed_checks(
    second: LoadSecond, named: list[tuple[str, CheckOrder]], whole: CheckOrder
) -> LoadSecond:
    if not second.samples:
        return second
    parts = dict(second.parts)
    described: dict[ResponseSample, ResponseSample] = {}
    for name, order in named:
        if name in parts:
            samples = tuple(_described(sample, order) for sample in parts[name].samples)
            described.update(zip(parts[name].samples, samples, strict=True))
            parts[name] = replace(parts[name], samples=samples)
    samples = tuple(
        described.get(sample, sample) if named else _described(sample, whole) for sample in second.samples
    )
    return replace(second, parts=parts, samples=samples)


def _described(sample: ResponseSample, order: CheckOrder) -> ResponseSample:
    if sample.failure not in _CHECKED:
        return sample
    return replace(sample, failed_checks=failed_checks(order, sample)[:MAX_SAMPLE])


def failed_checks(order: CheckOrder, sample: ResponseSample) -> str:
    """Return the checks of headers or of the body that a response does not pass; empty if none is known.

    Args:
        order: The checks of its request.
        sample: Of a failure ``bad_header`` or ``bad_body``.
    """
    found = list(_headers(order, sample) if sample.failure == "bad_header" else _body(order, sample))
    failed = [text for text, holds in found if not holds] or [text for text, _ in found]
    more = len(failed) - _SHOWN_CHECKS
    return "; ".join([*failed[:_SHOWN_CHECKS], *([f"and {more} more"] if more > 0 else [])])


def _headers(order: CheckOrder, sample: ResponseSample) -> Iterator[tuple[str, bool]]:
    """Yield each check and whether it holds as far as the sample shows, which has only some headers."""
    received = dict(sample.headers)
    for check in order.headers:
        required = f"expect.headers requires {_wanted_header(check)}"
        if check.name not in received:
            yield required, False
            continue
        value = received[check.name]
        head = f"HTTP/1.1 200 OK\n{check.name}: {value}\n".encode("latin-1", "replace")
        holds = not Checks(CheckOrder(headers=(check,))).failure(200, head)
        yield f"{check.name} is {_shown(value)}; {required}", holds


def _wanted_header(check: HeaderCheck) -> str:
    if not check.exists:
        return f"no {check.name}"
    if check.equals is not None:
        return f"{check.name} to be {_shown(check.equals)}"
    contains = [f"contain {_shown(check.contains)}"] if check.contains else []
    matches = [f"match {_shown(check.matches)}"] if check.matches else []
    return f"{check.name} to {' and '.join([*contains, *matches]) or 'exist'}"


def _body(order: CheckOrder, sample: ResponseSample) -> Iterator[tuple[str, bool]]:
    """Yield each check and whether it holds as far as the sample shows."""
    body = sample.body.encode()
    for needle in order.contains:
        yield f"expect.body_contains requires {_shown(needle.decode())}", needle in body
    for needle in order.excludes:
        yield f"expect.not_body_contains forbids {_shown(needle.decode())}", needle not in body
    if order.pattern:
        holds = not Checks(CheckOrder(pattern=order.pattern)).failure(200, b"", body)
        yield f"expect.body_matches requires a match of {_shown(order.pattern)}", holds
    if order.json:
        yield from _json(order.json, body)


def _json(checks: tuple[JsonCheck, ...], body: bytes) -> Iterator[tuple[str, bool]]:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        yield from ((f"expect.json requires {check.path} to {_wanted(check)}", False) for check in checks)
        return
    for check in checks:
        try:
            values = jsonpath.select(check.path, jsonpath.steps_of(check.path), document)
        except (ValueError, RecursionError):
            values = []
        holds = not Checks(CheckOrder(json=(check,))).failure(200, b"", body)
        yield f"{_found(check.path, values)}; expect.json requires it to {_wanted(check)}", holds


def _found(path: str, values: list[Any]) -> str:
    if not values:
        return f"there is nothing at {path}"
    texts = [_json_text(value) for value in values[:_SHOWN_CHECKS]]
    return f"{path} is {', '.join(texts)}{', …' if len(values) > _SHOWN_CHECKS else ''}"


def _wanted(check: JsonCheck) -> str:
    if not check.exists:
        return "be absent"
    if check.value:
        return f"be {_json_text(check.value[0])}"
    low = [f"at least {check.min:.15g}"] if check.min is not None else []
    high = [f"at most {check.max:.15g}"] if check.max is not None else []
    return f"be {' and '.join([*low, *high])}" if low or high else "exist"


def _json_text(value: Any) -> str:
    return _cut(msgspec.json.encode(value).decode())


def _shown(text: str) -> str:
    return f"'{_cut(text)}'"


def _cut(text: str) -> str:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"{printable[:_SHOWN_CHARACTERS]}…" if len(printable) > _SHOWN_CHARACTERS else printable
