"""Sends the request of a hook to the stack, checks the response, and extracts values from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import trio

from runner.cluster.client import Cluster
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.load_facts import ResponseSample
from runner.core.status_advice import describe_sample, status_advice
from runner.core.units import Seconds
from runner.execution.failed_check import failed_checks
from runner.execution.hook_end import HookEnd
from runner.execution.inputs import sensitive
from runner.execution.sample_masking import presentable
from runner.experiment.hooks import PlacedHook
from runner.experiment.quantities import format_time
from runner.load.check_order import check_order
from runner.load.checks import Checks, decoded, header_fields
from runner.load.extraction import extract
from runner.load.inputs import Constant, Inputs
from runner.load.node_request import send_from_node
from runner.load.request import rendered
from runner.load.response_sample import SHOWN_HEADERS
from runner.load.single_request import NoResponse, Received, send_request

_SAMPLED: Final = 4096
_SLOW: Final = "set `within` to the time that it needs"
_NO_RESPONSE: Final = "check that the app still runs, and its log"
_CHECK_EXTRACT: Final = "the beginning of the response is above"


async def send_hook_request(
    hook: PlacedHook,
    inputs: Inputs,
    endpoint: Endpoint,
    secrets: Mapping[str, str],
    *,
    cluster: Cluster | None = None,
) -> HookEnd:
    """Send a request once, and wait for its response.

    Args:
        hook: One with a request.
        inputs: Values that it inserts, and files that it sends.
        endpoint: Where the load goes.
        secrets: Name to value of what is masked in what is shown of the response.
        cluster: A node of it sends the request, where this machine does not reach the endpoint.
    """
    request, within = hook.hook.request, hook.hook.within
    assert request is not None
    try:
        content = rendered(request, endpoint, "new", inputs)
        with trio.fail_after(within):
            send = (
                partial(send_request, endpoint) if cluster is None else _from_node(cluster, endpoint, within)
            )
            response = await send(content, head_only=request.method == "HEAD")
    except trio.TooSlowError:
        return HookEnd(f"there was no complete response within {format_time(within)}", hint=_SLOW)
    except NoResponse as fault:
        return HookEnd(str(fault), hint=_NO_RESPONSE)
    except EnvironmentLacks as error:
        return HookEnd(error.message, error.hint, error.details)
    return _judged(hook, response, secrets)


def _from_node(cluster: Cluster, endpoint: Endpoint, within: Seconds) -> Callable[..., Awaitable[Received]]:
    """Return a function that lets a node send a request.

    Raises:
        EnvironmentLacks: No agent is left.
    """
    node = next((name for name in sorted(cluster.agents) if name not in cluster.lost), None)
    if node is None:
        raise EnvironmentLacks("no node of the swarm has an agent that can send the request")
    return partial(send_from_node, cluster, node, endpoint, within=within)


def _judged(hook: PlacedHook, response: Received, secrets: Mapping[str, str]) -> HookEnd:
    """Return how a hook with a response ended."""
    assert hook.hook.request is not None
    received = f"{hook.hook.title}: status {response.status}, {len(response.body):,} bytes"
    order = check_order(hook.hook.request.expect)
    if kind := Checks(order).failure(response.status, response.head, response.body):
        sample = _sample(kind, response, secrets)
        return HookEnd(*_failed_check(hook, sample), (received, *_shown(sample)))
    extracted: dict[str, Constant] = {}
    for name, source in hook.hook.extract.items():
        try:
            extracted[name] = extract(source, response)
        except ValueError as error:
            reason = f"extract.{name} ({source.source}) has no value: {error}"
            sample = _sample("extract_failed", response, {**secrets, **sensitive(extracted)})
            return HookEnd(reason, _CHECK_EXTRACT, (received, *_shown(sample)), extracted)
    taken = (f"extracted: {', '.join(extracted)}",) if extracted else ()
    return HookEnd("", "", (received, *taken), extracted)


def _failed_check(hook: PlacedHook, sample: ResponseSample) -> tuple[str, str]:
    """Return why a response is not accepted, and what to do."""
    assert hook.hook.request is not None
    expect = hook.hook.request.expect
    at = f"{hook.path}.request"
    if sample.failure == "bad_status":
        accepted = ", ".join(map(str, expect.status))
        reason = f"the status is {sample.status}, and expect.status accepts {accepted}"
        return reason, status_advice(sample.status, sample.excerpt(), at=at)
    part = "a header" if sample.failure == "bad_header" else "the body"
    failed = failed_checks(check_order(expect), sample)
    reason = f"{part} of the response is not as expect says{f': {failed}' if failed else ''}"
    return reason, f"check {at} and its expect"


def _sample(kind: str, response: Received, secrets: Mapping[str, str]) -> ResponseSample:
    fields = header_fields(response.head)
    try:
        body = decoded(response.body, fields.get("content-encoding", ""))
    except ValueError:
        body = b""
    headers = tuple((name, value) for name, value in fields.items() if name.encode() in SHOWN_HEADERS)
    text = body[:_SAMPLED].decode(errors="replace")
    return presentable(ResponseSample(kind, response.status, headers, text), secrets)


def _shown(sample: ResponseSample) -> tuple[str, ...]:
    described = describe_sample(sample.excerpt())
    return (f"received: {described}",) if described else ()
