"""The exact totals of a stage, from what script.js writes when all requests have ended (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from runner.core.units import Milliseconds
from runner.load.k6.plan import Plan

_STATED: Final = {
    "mean": "avg",
    "min": "min",
    "p50": "med",
    "p90": "p(90)",
    "p95": "p(95)",
    "p99": "p(99)",
    "p999": "p(99.9)",
    "max": "max",
}

Latencies = Mapping[str, Milliseconds | None]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the measured window's requests.

    Attributes:
        succeeded: Successful requests, `late` ones included.
        late: Those of them whose response arrived after the window's end.
        failures: Failure kind to count, none of them 0.
        statuses: Status code to count, of `bad_status` failures; 0 is the code of those counted together.
        dropped: Due in the window and never sent, because no virtual user was free.
        virtual_users: How many there were at most.
        completed: Successful responses within the window, the warm-up's last ones included.
        began_ms: When k6 began its schedule, on the system's clock; None if it never did.
        duration: ``http_req_duration`` of successful responses.
        connect: ``http_req_blocked`` without TLS, of successful responses on a new connection.
        tls: ``http_req_tls_handshaking`` of these, if they used TLS.
        parts: Of a mix: name of a request to its own totals.
    """

    succeeded: int
    late: int
    failures: Mapping[str, int]
    dropped: int
    virtual_users: int
    completed: int
    began_ms: Milliseconds | None
    duration: Latencies
    connect: Latencies
    tls: Latencies = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    parts: Mapping[str, Totals] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """Requests that were sent: each succeeded or failed."""
        return self.succeeded + sum(self.failures.values())


def read_summary(text: str, plan: Plan) -> Totals:
    """Return the totals in script.js's summary.

    Raises:
        ValueError: The text is not such a summary.
    """
    try:
        return _totals(json.loads(text), plan)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a summary of script.js: {error}") from None


def _totals(summary: dict[str, Any], plan: Plan) -> Totals:
    began = summary["began_ms"]
    whole = _counted(summary)
    dropped = _dropped_in_window(summary, plan, sent=whole.sent)
    return replace(
        whole,
        dropped=dropped,
        virtual_users=int(summary["virtual_users"]),
        began_ms=None if began is None else float(began),
        parts=_with_dropped(
            {name: _counted(summary["parts"][name]) for name in plan.mix.names}, dropped, plan
        ),
    )


def _with_dropped(parts: Mapping[str, Totals], dropped: int, plan: Plan) -> dict[str, Totals]:
    """Return the totals of requests with their share of the drops, for which k6 chose no request."""
    unsent = {name: max(0, count - parts[name].sent) for name, count in plan.planned_by_request.items()}
    left, of = dropped, sum(unsent.values())
    shared = {}
    for name, count in unsent.items():
        own = min(left, round(left * count / of)) if of else 0
        shared[name] = replace(parts[name], dropped=own)
        left, of = left - own, of - count
    return shared


def _counted(summary: dict[str, Any]) -> Totals:
    """Return the totals of the stage, or of one request, without drops."""
    succeeded, late = int(summary["succeeded"]), int(summary["late"])
    return Totals(
        succeeded=succeeded,
        late=late,
        failures={str(kind): int(count) for kind, count in summary["failures"].items() if count},
        dropped=0,
        virtual_users=0,
        completed=succeeded - late + int(summary["warmup_in_window"]),
        began_ms=None,
        duration=_latencies(summary["duration"]),
        connect=_latencies(summary["connect"]),
        tls=_latencies(summary["tls"]),
        statuses={int(status): int(count) for status, count in summary["statuses"].items() if count},
    )


def _dropped_in_window(summary: dict[str, Any], plan: Plan, *, sent: int) -> int:
    """Return the drops of the window, out of k6's total for the whole run.

    Drops of the warm-up are the arrivals that were not sent then. k6 also continues for a moment after the
    window; those drops do not count.
    """
    total = int(summary["dropped"])
    in_warmup = min(total, max(0, plan.warmup_arrivals - int(summary["warmup_sent"])))
    return min(total - in_warmup, max(0, plan.window_arrivals - sent))


def _latencies(trend: dict[str, float] | None) -> Latencies:
    return {ours: None if trend is None else float(trend[theirs]) for ours, theirs in _STATED.items()}
