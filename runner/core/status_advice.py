"""What to do about a status code that the specification does not accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from runner.core.facts import ResponseSample
from runner.core.results import Stage

SERVER_ERROR: Final = 500
OTHER_STATUSES: Final = "other"
"""In results, what stands for the codes beyond those that are counted one by one."""
_CHECK: Final = "check the request and its expect in load"
_NOT_FOLLOWED: Final = (
    "redirects are not followed: request the address that this one leads to, or accept the status in "
    "load.expect.status"
)
_BY_CLASS: Final = {
    2: "accept the status in load.expect.status if it means success",
    3: _NOT_FOLLOWED,
    4: _CHECK,
    5: "read the service's log for these requests",
}
_BY_STATUS: Final = {
    304: "remove the request's If-None-Match and If-Modified-Since headers, or accept the status in "
    "load.expect.status",
    400: "check the query, headers and body of the request in load",
    401: "send valid credentials in the headers of the request",
    403: "send credentials that allow it in the headers of the request, or change the service's access rules",
    404: "check the path of the request in load",
    405: "check the method of the request in load",
    407: "send valid credentials for the proxy in the headers of the request",
    410: "check the path of the request in load",
    413: "send a smaller body, or raise the service's limit",
    415: "set the body's Content-Type in the headers of the request",
    422: "check the body of the request in load",
    429: "the service limits the rate of requests: raise its limit for the test, or offer a lower rate",
    502: "the proxy received no valid response from the app: read both logs for these requests",
    503: "the service was overloaded or not ready: read its log for these requests, or offer a lower rate",
    504: "the proxy received no response from the app in time: read both logs for these requests",
}
_HEADERS: Final = {
    3: ("location", "Location"),
    401: ("www-authenticate", "WWW-Authenticate"),
    405: ("allow", "Allow"),
    407: ("proxy-authenticate", "Proxy-Authenticate"),
    429: ("retry-after", "Retry-After"),
    503: ("retry-after", "Retry-After"),
}
"""By status, or by class: the header that says more."""


def status_advice(status: int, sample: ResponseSample | None = None, app_output: Sequence[str] = ()) -> str:
    """Return what to do, without capital and full stop.

    Args:
        status: Status code; 0 for several.
        sample: A response with this status, which may say more.
        app_output: The last lines that the app has written; quoted for 5xx.
    """
    text = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, _CHECK)
    name, title = _HEADERS.get(status) or _HEADERS.get(status // 100, ("", ""))
    headers: Mapping[str, str] = dict(sample.headers) if sample else {}
    if value := headers.get(name):
        text += f" ({title}: {value})"
    if status >= SERVER_ERROR and app_output:
        text += f"; the app's last output: {app_output[-1]}"
    return text


def stage_advice(stage: Stage, status: str) -> str:
    """Return what to do about a status of a stage; `status` is a key of its requests' statuses."""
    code = int(status) if status.isdecimal() else 0
    return status_advice(code, stage.sample_of_status(status), stage.app_output)


def describe_sample(sample: ResponseSample) -> str:
    """Return headers and body of a sample in one line."""
    parts = [f"{name}: {value}" for name, value in sample.headers]
    return "; ".join([*parts, *([f"body: {sample.body}"] if sample.body else [])])
