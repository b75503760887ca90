"""What to do about a status code that the specification does not accept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from runner.core.load_facts import ResponseSample
from runner.core.stage_results import Stage

SERVER_ERROR: Final = 500
OTHER_STATUSES: Final = "other"
"""In results, what stands for the codes beyond those that are counted one by one."""
_KEYS: Final = {
    "both": "the request and its expect in load",
    "path": "the path of the request in load",
    "method": "the method of the request in load",
    "parts": "the query, headers and body of the request in load",
    "headers": "the headers of the request",
    "body": "the body of the request in load",
    "status": "load.expect.status",
    "extract": "extract of the step",
    "follow": "load.follow_redirects",
}
"""What advice is about, in a specification with one request."""
_NAMED_KEYS: Final = {
    "both": "{0} and its expect",
    "path": "{0}.path",
    "method": "{0}.method",
    "parts": "the query, headers and body of {0}",
    "headers": "{0}.headers",
    "body": "the body of {0}",
    "status": "{0}.expect.status",
    "extract": "extract in {0}",
    "follow": "follow_redirects in {0}",
}
"""The same in a mix, where {0} is the request."""
_OF_STEP: Final = {"path": "{0}.path or .url"}
"""Of a step, which may send its request to an address from a response."""
_CHECK: Final = "check {both}"
_BY_CLASS: Final = {
    2: "accept the status in {status} if it means success",
    3: "redirects are not followed: request the address that this one leads to, or accept the status in "
    "{status}",
    4: _CHECK,
    5: "read the service's log for these requests",
}
_REDIRECT_OF_STEP: Final = "follow redirects ({follow}), or accept the status in {status}"
_BY_KIND: Final = {
    "closed_early": "read the service's log: it closed the connection before its response was complete",
    "extract_failed": "compare the response with {extract}",
    "too_many_steps": "extract shorter lists for the for_each around {both}, or go through fewer steps in it",
    "bad_redirect": "compare the Location of the response with {follow}, and its host with load.allow_hosts",
}
"""Of failures that need advice of their own."""
_LATE: Final = {
    "timeout": "the response was not complete within load.timeout: offer a lower rate, or raise that limit",
}
"""Of failures although there is a response."""
_BY_STATUS: Final = {
    304: "remove If-None-Match and If-Modified-Since from {headers}, or accept the status in {status}",
    400: "check {parts}",
    401: "send valid credentials in {headers}",
    403: "send credentials that allow it in {headers}, or change the service's access rules",
    404: "check {path}",
    405: "check {method}",
    407: "send valid credentials for the proxy in {headers}",
    410: "check {path}",
    413: "send a smaller body, or raise the service's limit",
    415: "set the body's Content-Type in {headers}",
    422: "check {body}",
    429: "the service limits the rate of requests: raise its limit for the test, or offer a lower rate",
    502: "the server that responded got no valid response from the one behind it: read the logs of both",
    503: "the service was overloaded or not ready: read its log for these requests, or offer a lower rate",
    504: "the server that responded got no response in time from the one behind it: read the logs of both",
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
EXPLAINING_HEADERS: Final = tuple(dict.fromkeys(name for name, _ in _HEADERS.values()))


def status_advice(
    status: int,
    sample: ResponseSample | None = None,
    app_output: Sequence[str] = (),
    *,
    request: str = "",
    path: str = "",
    at: str = "",
) -> str:
    """Return what to do, without capital and full stop.

    Args:
        status: Status code; 0 for several.
        sample: A response with this status, which may say more.
        app_output: The last lines that the app has written; one is quoted for 5xx.
        request: The request's name in a mix, where a line of the app may be about another request.
        path: That request's path, which tells lines about it from others; empty if it is not known.
        at: The key of the request, if it is not one of the load.
    """
    by_class = _REDIRECT_OF_STEP if "/" in request and status // 100 == 3 else _BY_CLASS.get(status // 100)
    text = advice(_BY_STATUS.get(status) or by_class or _CHECK, request, at)
    name, title = _HEADERS.get(status) or _HEADERS.get(status // 100, ("", ""))
    headers: Mapping[str, str] = dict(sample.headers) if sample else {}
    if value := headers.get(name):
        text += f" ({title}: {value})"
    return text + (_quoted(app_output, request, path) if status >= SERVER_ERROR and app_output else "")


def advice(template: str, request: str = "", at: str = "") -> str:
    """Return advice with the keys of the only request, of one of a mix, or of one at `at` for its fields."""
    scenario, _, step = request.rpartition("/")
    key = at or (f"load.scenarios[{scenario}][{step}]" if scenario else f"load.requests[{request}]")
    named = _NAMED_KEYS | _OF_STEP if scenario and not at else _NAMED_KEYS
    return template.format_map(
        {name: words.format(key) for name, words in named.items()} if request or at else _KEYS
    )


def check_request(request: str = "", kind: str = "") -> str:
    """Return advice for a failure that is no status; its kind may say more."""
    return advice(_BY_KIND.get(kind, _CHECK), request)


def kind_advice(kind: str, request: str = "") -> str:
    """Return advice for a failure with a response, of a kind that has some of its own; empty for others."""
    known = _BY_KIND | _LATE
    return advice(known[kind], request) if kind in known else ""


def _quoted(app_output: Sequence[str], request: str, path: str) -> str:
    """Return the last line of the app about a request; without one, its last line, named as such."""
    if not request:
        return f"; the app's last output: {app_output[-1]}"
    if path and (lines := [line for line in app_output if is_about(line, path)]):
        return f"; the app's last output about it: {lines[-1]}"
    return f"; the last line of the app's log, which may be about another request: {app_output[-1]}"


def is_about(line: str, path: str) -> bool:
    """Return whether a line of a log contains a path, in which each ``${...}`` stands for anything."""
    fixed = [re.escape(part) for part in re.split(r"\$\{[^}]*\}", path.partition("?")[0])]
    pattern = r"(?<![\w/.%-])" + r"[^\s/?]*".join(fixed) + r"(?![\w/.%-])"
    return re.search(pattern, line) is not None


def stage_advice(stage: Stage, status: str, *, request: str = "", path: str = "") -> str:
    """Return what to do about a status of a stage, or of one request of it.

    Args:
        stage: The whole stage.
        status: A key of the requests' statuses.
        request: Of a mix: the request that it is about; by default the one that received it most often.
        path: As for `status_advice`.
    """
    name = request or _most_often(stage, status)
    code = int(status) if status.isdecimal() else 0
    sample = (stage.part(name) if name else stage).sample_of_status(status)
    return status_advice(code, sample, stage.app_output, request=name, path=path)


def _most_often(stage: Stage, status: str) -> str:
    """Return the request of a mix that received a status most often; empty without a mix."""
    counts = {
        name: (part.requests.statuses or {}).get(status, 0) for name, part in stage.request_parts.items()
    }
    return max(counts, key=lambda name: counts[name], default="")


def describe_sample(sample: ResponseSample) -> str:
    """Return headers and body of a sample in one line."""
    parts = [f"{name}: {value}" for name, value in sample.headers]
    return "; ".join([*parts, *([f"body: {sample.body}"] if sample.body else [])])
