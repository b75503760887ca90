"""k6's orders: one scenario for warm-up and window, as data for script.js (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.load_facts import FAILURE_KINDS
from runner.core.ramp import Ramp
from runner.core.units import PerSecond, Seconds
from runner.load.engine import LoadOrder
from runner.load.k6.mix import SINGLE, Mix, mix_of
from runner.load.k6.requests import MAX_BODY, request_data
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

BY_REQUEST: Final = (
    "good_duration", "good_connect", "good_tls", "good_late", "warmup_good_in_window",
    *(f"failed_{kind}" for kind in FAILURE_KINDS),
    *(f"status_{status}" for status in STATUSES),
)  # fmt: skip
"""What script.js counts by request; k6 keeps the requests apart only if each has thresholds, here empty."""

_READY_FOR_S: Final = 0.025
_MIN_READY_VUS: Final = 50
_MAX_READY_VUS: Final = 1000
_READY_AT_LOW_RATES: Final = 500
_READY_TIMES_RATE: Final = 500_000
"""What traversing idle virtual users costs grows with their number times the rate; see `Plan.ready_vus`."""
_MIN_RUN_S: Final = 1.0
_TREND_STATS: Final = ("avg", "min", "med", "p(90)", "p(95)", "p(99)", "p(99.9)", "max", "count")


@dataclass(frozen=True, slots=True)
class Plan:
    """One stage in k6's terms.

    Attributes:
        rps: Arrivals per second; of a ramp, the average over the window.
        warmup_s: Length of the warm-up.
        window_s: Length of the measured window.
        timeout_s: The limit of one request, connecting included.
        ready_vus: Virtual users that exist before the first arrival. Each is a JavaScript machine of 0.1
            to 0.3 MB that k6's garbage collector traverses: 1,000 instead of 100 of them cost a quarter of
            the throughput at 10,000/s on two cores. So this is the number for a mean response time of
            25 ms (Little's law), and at low rates, where they cost little, for the time-out, up to 500;
            not max_in_flight.
        max_vus: max_in_flight. k6 drops at least one arrival for every virtual user it adds.
        mix: Which request each arrival sends.
        ramp: How the rate changes over the window; the warm-up has its first rate.
        users: Of the closed model: how many users send requests, or how their number changes over the window.
            They have no arrivals, and the clock alone bounds the window.
    """

    rps: PerSecond
    warmup_s: Seconds
    window_s: Seconds
    timeout_s: Seconds
    ready_vus: int
    max_vus: int
    mix: Mix = SINGLE
    ramp: Ramp | None = None
    users: int | Ramp | None = None

    @property
    def level_ramp(self) -> Ramp | None:
        """How the rate or the number of users changes over the window."""
        return self.users if isinstance(self.users, Ramp) else self.ramp

    @property
    def planned_by_request(self) -> dict[str, int]:
        """Name of each request of a mix to its arrivals due in the measured window."""
        begins, ends = self.warmup_arrivals, self.warmup_arrivals + self.window_arrivals
        return {name: self.mix.count(name, ends) - self.mix.count(name, begins) for name in self.mix.names}

    @property
    def rate(self) -> Fraction:
        """Arrivals per second as the specification writes it, not the nearest binary fraction."""
        return exact(self.rps)

    @property
    def warmup_arrivals(self) -> int:
        """Number of arrivals due in the warm-up."""
        if self.users is not None:
            return 0
        if self.ramp:
            return math.floor(_snapped(self.ramp.begin * self.warmup_s))
        return planned(self.rps, self.warmup_s)

    @property
    def window_arrivals(self) -> int:
        """Number of arrivals due in the measured window.

        k6 starts the first arrival of a ramp when the integral of its rate has reached 1, not 0.
        """
        if self.users is not None:
            return 0
        if self.ramp:
            in_all = self.ramp.begin * self.warmup_s + self.ramp.mean * self.window_s
            return math.floor(_snapped(in_all)) - self.warmup_arrivals
        return planned(self.rps, self.window_s, self.warmup_s)

    @property
    def graceful_stop_s(self) -> Seconds:
        """How long requests under way may take after the last start: none is cut short."""
        return self.timeout_s + 1.0


def _snapped(product: float) -> float:
    nearest = round(product)
    return nearest if abs(product - nearest) < 1e-6 else product


def _ready_vus(rps: PerSecond, timeout_s: Seconds) -> int:
    """Return how many virtual users begin, without the bound of max_in_flight."""
    at_low_rates = min(_READY_AT_LOW_RATES, _READY_TIMES_RATE / rps, rps * timeout_s)
    return max(_MIN_READY_VUS, math.ceil(max(rps * _READY_FOR_S, at_low_rates)))


def plan_of(order: LoadOrder) -> Plan:
    """Return the stage of an order."""
    max_vus = order.load.max_in_flight
    if order.stage.users is not None:
        ready = max_vus = order.stage.most_users
    else:
        ready = _ready_vus(order.stage.highest_rps, order.load.timeout)
    return Plan(
        rps=order.stage.target_rps or 0.0,
        warmup_s=order.stage.warmup,
        window_s=order.stage.duration,
        timeout_s=order.load.timeout,
        ready_vus=min(ready, max_vus, _MAX_READY_VUS),
        max_vus=max_vus,
        mix=mix_of(order.load),
        ramp=order.stage.ramp,
        users=order.stage.user_level,
    )


def script_order(order: LoadOrder, plan: Plan) -> dict[str, Any]:
    """Return the content of order.json.

    Raises:
        EnvironmentLacks: A body is too large for k6.
    """
    load = order.load
    options = _options(plan, new_connections=load.connection == "new") | _route(order.endpoint)
    files = order.inputs.files
    if large := [path for path in files if len(files[path]) > MAX_BODY]:
        raise EnvironmentLacks(
            f"engine k6 cannot send {large[0]}: each virtual user would keep a copy of more than 1 MiB",
            hint="use load.engine: builtin, without cross_check",
        )
    return {
        "options": options,
        "requests": [request_data(part, order.endpoint, load.timeout, order.inputs) for part in load.parts],
        "order": list(plan.mix.order),
        "is_mix": load.is_mix,
        "failure_kinds": list(FAILURE_KINDS),
        "statuses": list(STATUSES),
        "schedule": {
            "warmup_ms": plan.warmup_s * 1000,
            "window_ms": plan.window_s * 1000,
            "warmup_arrivals": plan.warmup_arrivals,
            "arrivals": plan.warmup_arrivals + plan.window_arrivals,
            "users": plan.users is not None,
            "grace_ms": 0 if plan.users is not None else GRACE_S * 1000,
        },
    }


def _route(endpoint: Endpoint) -> dict[str, Any]:
    """Return options that pin the host's address and say how certificates are verified."""
    route: dict[str, Any] = {"hosts": {endpoint.host: endpoint.address}} if endpoint.address else {}
    if endpoint.tls and endpoint.tls.insecure:
        route["insecureSkipTLSVerify"] = True
    return route


def _arrivals(plan: Plan) -> dict[str, Any]:
    """Return the executor and its rates."""
    if plan.ramp is None:
        runs_s = max(plan.warmup_s + plan.window_s + 2 * GRACE_S, _MIN_RUN_S)
        rate = plan.rate
        return {
            "executor": "constant-arrival-rate",
            "rate": rate.numerator,
            "timeUnit": f"{rate.denominator}s",
            "duration": _ms(runs_s),
        }
    begin, to = exact(plan.ramp.begin), exact(plan.ramp.to)
    unit_s = math.lcm(begin.denominator, to.denominator)
    first, last = int(begin * unit_s), int(to * unit_s)
    lengths = ((first, plan.warmup_s), (last, plan.window_s), (last, 2 * GRACE_S))
    return {
        "executor": "ramping-arrival-rate",
        "startRate": first,
        "timeUnit": f"{unit_s}s",
        "stages": [{"target": target, "duration": _ms(length_s)} for target, length_s in lengths if length_s],
    }


def _users(plan: Plan, users: int | Ramp) -> dict[str, Any]:
    """Return the executor and its numbers of users."""
    if not isinstance(users, Ramp):
        runs_s = max(plan.warmup_s + plan.window_s, _MIN_RUN_S)
        return {"executor": "constant-vus", "vus": users, "duration": _ms(runs_s)}
    lengths = ((users.begin, plan.warmup_s), (users.to, plan.window_s))
    return {
        "executor": "ramping-vus",
        "startVUs": int(users.begin),
        "stages": [
            {"target": int(target), "duration": _ms(length_s)} for target, length_s in lengths if length_s
        ],
        "gracefulRampDown": _ms(plan.graceful_stop_s),
    }


def exact(rate: PerSecond) -> Fraction:
    """Return a rate as the specification writes it, not the nearest binary fraction."""
    return Fraction(str(rate)).limit_denominator(_FINEST)


def _ms(length_s: Seconds) -> str:
    return f"{round(length_s * 1000)}ms"


def _options(plan: Plan, *, new_connections: bool) -> dict[str, Any]:
    """Return k6's options; the script ends the schedule itself, shortly before k6 does."""
    ready = {"preAllocatedVUs": plan.ready_vus, "maxVUs": plan.max_vus}
    scenario = {
        **(_arrivals(plan) | ready if plan.users is None else _users(plan, plan.users)),
        "gracefulStop": f"{round(plan.graceful_stop_s * 1000)}ms",
    }
    return {
        "scenarios": {"stage": scenario},
        "noConnectionReuse": new_connections,
        "summaryTrendStats": list(_TREND_STATS),
        "systemTags": [],
        "thresholds": {f"{metric}{{request:{name}}}": [] for name in plan.mix.names for metric in BY_REQUEST},
    }
