"""k6's orders: one scenario for warm-up and window, as data for script.js (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from runner.core.facts import FAILURE_KINDS, Endpoint
from runner.core.units import PerSecond, Seconds
from runner.experiment.model import Request
from runner.load.engine import LoadOrder
from runner.load.pacing import planned
from runner.load.response_sample import OTHER_STATUSES

GRACE_S: Final = 0.05
"""How late an iteration may start and still count as due before a bound of the window."""

STATUSES: Final = (
    OTHER_STATUSES, 200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413,
    415, 422, 429, 500, 501, 502, 503, 504,
)  # fmt: skip
"""Status codes that k6 counts one by one. Each is a counter in every virtual user, so there are few."""

_FINEST: Final = 10**9
"""Rates are exact to this denominator: k6 takes a whole number per a whole number of seconds."""

_OUR_HEADERS: Final = {"User-Agent": "loadproof", "Accept": "*/*"}
_READY_FOR_S: Final = 0.025
_MIN_READY_VUS: Final = 50
_MAX_READY_VUS: Final = 1000
_MIN_RUN_S: Final = 1.0
_TREND_STATS: Final = ("avg", "min", "med", "p(90)", "p(95)", "p(99)", "p(99.9)", "max", "count")


@dataclass(frozen=True, slots=True)
class Plan:
    """One stage in k6's terms.

    Attributes:
        rps: Arrivals per second.
        warmup_s: Length of the warm-up.
        window_s: Length of the measured window.
        timeout_s: The limit of one request, connecting included.
        ready_vus: Virtual users that exist before the first arrival. Each is a JavaScript machine of 0.1
            to 0.3 MB that k6's garbage collector traverses: 1,000 instead of 100 of them cost a quarter of
            the throughput at 10,000/s on two cores. So this is the number for a mean response time of
            25 ms (Little's law), not max_in_flight.
        max_vus: max_in_flight. k6 drops one arrival for every virtual user it adds.
    """

    rps: PerSecond
    warmup_s: Seconds
    window_s: Seconds
    timeout_s: Seconds
    ready_vus: int
    max_vus: int

    @property
    def rate(self) -> Fraction:
        """Arrivals per second as the specification writes it, not the nearest binary fraction."""
        return Fraction(str(self.rps)).limit_denominator(_FINEST)

    @property
    def warmup_arrivals(self) -> int:
        """Number of arrivals due in the warm-up."""
        return planned(self.rps, self.warmup_s)

    @property
    def window_arrivals(self) -> int:
        """Number of arrivals due in the measured window."""
        return planned(self.rps, self.window_s, self.warmup_s)

    @property
    def graceful_stop_s(self) -> Seconds:
        """How long requests under way may take after the last start: none is cut short."""
        return self.timeout_s + 1.0


def plan_of(order: LoadOrder) -> Plan:
    """Return the stage of an order."""
    max_vus = order.load.max_in_flight
    ready = max(_MIN_READY_VUS, math.ceil(order.stage.rps * _READY_FOR_S))
    return Plan(
        rps=order.stage.rps,
        warmup_s=order.stage.warmup,
        window_s=order.stage.duration,
        timeout_s=order.load.timeout,
        ready_vus=min(ready, max_vus, _MAX_READY_VUS),
        max_vus=max_vus,
    )


def script_order(order: LoadOrder, plan: Plan) -> dict[str, Any]:
    """Return the content of order.json."""
    load = order.load
    needs_body = load.expect.body_contains is not None
    return {
        "options": _options(plan, new_connections=load.connection == "new") | _route(order.endpoint),
        "request": {
            "method": load.request.method,
            "url": url(order.endpoint, load.request.path),
            "body": load.request.body,
            "params": {
                "headers": _headers(load.request),
                "timeout": max(1, round(load.timeout * 1000)),
                "redirects": 0,
                "responseType": "text" if needs_body else "none",
            },
        },
        "expect": {"status": list(load.expect.status), "body_contains": load.expect.body_contains},
        "failure_kinds": list(FAILURE_KINDS),
        "statuses": list(STATUSES),
        "schedule": {
            "warmup_ms": plan.warmup_s * 1000,
            "window_ms": plan.window_s * 1000,
            "warmup_arrivals": plan.warmup_arrivals,
            "arrivals": plan.warmup_arrivals + plan.window_arrivals,
            "grace_ms": GRACE_S * 1000,
        },
    }


def url(endpoint: Endpoint, path: str) -> str:
    """Return the URL of the requests."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{endpoint.scheme}://{host}:{endpoint.port}{endpoint.base_path}{path}"


def _route(endpoint: Endpoint) -> dict[str, Any]:
    """Return options that pin the host's address and say how certificates are verified."""
    route: dict[str, Any] = {"hosts": {endpoint.host: endpoint.address}} if endpoint.address else {}
    if endpoint.tls and endpoint.tls.insecure:
        route["insecureSkipTLSVerify"] = True
    return route


def _headers(request: Request) -> dict[str, str]:
    """Return the headers that the built-in engine sends: the specification's, and our defaults."""
    given = {name.lower() for name in request.headers}
    ours = {name: value for name, value in _OUR_HEADERS.items() if name.lower() not in given}
    return ours | request.headers


def _options(plan: Plan, *, new_connections: bool) -> dict[str, Any]:
    """Return k6's options; the script ends the schedule itself, shortly before k6 does."""
    runs_s = max(plan.warmup_s + plan.window_s + 2 * GRACE_S, _MIN_RUN_S)
    scenario = {
        "executor": "constant-arrival-rate",
        "rate": plan.rate.numerator,
        "timeUnit": f"{plan.rate.denominator}s",
        "duration": f"{round(runs_s * 1000)}ms",
        "preAllocatedVUs": plan.ready_vus,
        "maxVUs": plan.max_vus,
        "gracefulStop": f"{round(plan.graceful_stop_s * 1000)}ms",
    }
    return {
        "scenarios": {"stage": scenario},
        "noConnectionReuse": new_connections,
        "summaryTrendStats": list(_TREND_STATS),
        "systemTags": [],
    }
