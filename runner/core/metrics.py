"""The registry of metrics: what each is called, counted in, and where it stands in the results.

Thresholds, tables, CSV, the page's columns, comparison, JUnit and the glossary are generated from it. A new
metric is a line here and the place that measures it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from runner.core.codes import Role, RoleName, is_service
from runner.core.metric import Better, Dimension, LatencyKind, Metric

if TYPE_CHECKING:
    from runner.core.measured import Measured


LATENCIES: Final = (
    LatencyKind(
        "duration",
        "Duration",
        "From the connection being ready to the last byte of the response; k6 calls it http_req_duration. "
        "Connection time is not included. Percentiles count failed and dropped requests as infinitely slow.",
    ),
    LatencyKind(
        "response_time",
        "Response Time",
        "From the time a request was due to the last byte of the response. It includes waiting before the "
        "request was sent, so a stall cannot hide (coordinated omission). Percentiles count failed and "
        "dropped requests as infinitely slow.",
    ),
    LatencyKind("connect", "Connect", "Time to open a TCP connection; new connections only."),
    LatencyKind("tls", "TLS Handshake", "Time of the TLS handshake; new connections with TLS only."),
    LatencyKind(
        "dispatch_delay",
        "Dispatch Delay",
        "From the time a request was due to when the generator took it up: the generator's own delay, or the "
        "wait for a free slot.",
    ),
    LatencyKind(
        "first_byte", "First Byte", "From the connection being ready to the first byte of the response."
    ),
)
SCENARIO_DURATION: Final = LatencyKind(
    "scenario_duration",
    "Scenario Duration",
    "From the time a user was due to start a scenario to the end of its last step, pauses included. With a "
    "number of users, from its start. Percentiles count failed, unfinished and dropped scenarios as "
    "infinitely slow.",
)
STATISTICS: Final[Mapping[str, str]] = {
    "mean": "Avg",
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p999": "p99.9",
    "max": "Max",
}
"""Name of a statistic to its heading."""
_ROLE_TITLES: Final[Mapping[RoleName, str]] = {
    Role.APP: "App",
    Role.PROXY: "Proxy",
    Role.FORWARDER: "docker-proxy",
    Role.SYSTEM: "Host",
}


def _latency(kind: LatencyKind, statistic: str) -> Metric:
    return Metric(
        f"{kind.name}.{statistic}",
        f"{kind.field}.{statistic}",
        f"{STATISTICS[statistic]} {kind.title}",
        kind.title,
        Dimension.TIME,
        Better.LESS,
        kind.definition,
        lambda measured: getattr(getattr(measured, kind.field), statistic),
        lambda measured: getattr(measured, kind.field).why_unbounded(statistic),
        per_slice=True,
        needs_schedule=kind.name in {"response_time", "dispatch_delay"},
        scenarios_only=kind.name == "scenario_duration",
    )


def _usage(of: str, role: RoleName, which: str) -> Metric:
    field, dimension, what, definition = {
        "cpu": (
            "cpu_cores",
            Dimension.CORES,
            "CPU",
            "CPU seconds used in the window divided by its seconds, from cumulative counters.",
        ),
        "memory": ("memory_mib", Dimension.SIZE, "Memory", "Resident memory."),
    }[of]

    def read(measured: Measured) -> float | None:
        usage = getattr(measured, field, {}).get(role)
        return getattr(usage, which) if usage else None

    name = role if is_service(role) else _ROLE_TITLES.get(role, role.capitalize())
    title = f"{'Avg' if which == 'avg' else 'Peak'} {name} {what}"
    return Metric(
        f"{of}.{role}.{which}",
        f"{field}.{role}.{which}",
        title,
        what,
        dimension,
        Better.LESS,
        definition,
        read,
        per_request=False,
    )


def lost_share(measured: Measured) -> float | None:
    """Return the share of the scheduled requests that failed or were dropped; None without any."""
    requests = measured.requests
    return requests.lost / requests.scheduled if requests.scheduled else None


_REQUESTS: Final = (
    Metric(
        "actual_rps",
        "actual_rps",
        "Actual RPS",
        "Actual RPS",
        Dimension.RATE,
        Better.MORE,
        "Successful responses completed in the measured window divided by its seconds; no warm-up.",
        lambda measured: measured.actual_rps,
    ),
    Metric(
        "achieved",
        "achieved",
        "Achieved",
        "Achieved",
        Dimension.SHARE,
        Better.MORE,
        "Share of the requests due in the window that the service sustained: 100 % if it responds to all of "
        "them in time, capacity divided by target rate under overload.",
        lambda measured: measured.achieved,
        needs_schedule=True,
    ),
    Metric(
        "errors",
        "errors",
        "Failed or Dropped",
        "Failed or Dropped",
        Dimension.SHARE,
        Better.LESS,
        "Share of the scheduled requests that failed a check, got no response, or were never sent.",
        lost_share,
        per_slice=True,
    ),
    Metric(
        "dropped",
        "dropped",
        "Dropped",
        "Dropped",
        Dimension.COUNT,
        Better.LESS,
        "Requests that were never sent, because max_in_flight requests were in flight or because the "
        "generator stood still or was lost, and those whose end is unknown because the generator was lost. "
        "The analysis says how many there are of each.",
        lambda measured: float(measured.requests.dropped),
    ),
)
"""Metrics of requests that are no latencies."""


def lost_share_of_scenarios(measured: Measured) -> float | None:
    """Return the share of the scenarios due that did not complete; None without any."""
    scenarios = measured.scenarios
    return scenarios.lost / scenarios.scheduled if scenarios and scenarios.scheduled else None


_CUT_OFF_WORTH_A_WORD: Final = 0.01


def cut_off_share(measured: Measured) -> float:
    """Return the share of the scenarios due that had not ended when the stage did; 0 for a few."""
    scenarios = measured.scenarios
    share = scenarios.unfinished / scenarios.scheduled if scenarios and scenarios.scheduled else 0.0
    return share if share >= _CUT_OFF_WORTH_A_WORD else 0.0


_SCENARIOS: Final = (
    Metric(
        "scenarios_per_s",
        "scenarios_per_s",
        "Scenarios/s",
        "Scenarios/s",
        Dimension.SCENARIO_RATE,
        Better.MORE,
        "Scenarios completed in the measured window divided by its seconds.",
        lambda measured: measured.scenarios_per_s,
        scenarios_only=True,
    ),
    Metric(
        "scenario_errors",
        "scenario_errors",
        "Scenarios Not Completed",
        "Scenarios Not Completed",
        Dimension.SHARE,
        Better.LESS,
        "Share of the scenarios due that failed at a step, were unfinished when the stage ended, or were "
        "never started.",
        lost_share_of_scenarios,
        per_slice=True,
        scenarios_only=True,
    ),
    *(_latency(SCENARIO_DURATION, statistic) for statistic in STATISTICS),
)
"""Metrics of the runs of scenarios."""
_USAGES: Final = (
    _usage(of, role, which) for role in Role for which in ("avg", "peak") for of in ("cpu", "memory")
)
_LATENCIES: Final = (_latency(kind, statistic) for kind in LATENCIES for statistic in STATISTICS)
METRICS: Final[Mapping[str, Metric]] = {
    metric.path: metric for metric in (*_LATENCIES, *_REQUESTS, *_SCENARIOS, *_USAGES)
}
"""Path to metric; `find_metric` also knows those of services."""
SERVICE_USAGE: Final = r"(cpu|memory)\.([a-z][a-z0-9-]{0,30})\.(avg|peak)"
"""The path of a metric of a service."""
KEY_METRICS: Final[Mapping[str, Metric]] = {
    "actual_rps": METRICS["actual_rps"],
    "duration_ms.p50": METRICS["duration.p50"],
    "duration_ms.p95": METRICS["duration.p95"],
    "duration_ms.p99": METRICS["duration.p99"],
    "response_time_ms.p95": METRICS["response_time.p95"],
    "scenarios_per_s": METRICS["scenarios_per_s"],
    "scenario_duration_ms.p50": METRICS["scenario_duration.p50"],
    "scenario_duration_ms.p95": METRICS["scenario_duration.p95"],
    "cpu_cores.app": METRICS["cpu.app.avg"],
    "lost": METRICS["errors"],
    "scenarios_lost": METRICS["scenario_errors"],
}
"""Name in repeats, comparisons and histories to metric."""
CROSS_CHECKED: Final = tuple(
    METRICS[path] for path in ("actual_rps", "duration.p50", "duration.p95", "duration.p99", "connect.p95")
)
"""Metrics that two engines are compared in; connection times may differ."""
_PATH: Final = r"\s*([a-z0-9_]+)(?:\{[^{}]*\})?((?:\.[a-z0-9_-]+)*)"
"""A metric's path, which may have a selector after its first word: ``duration{request=order}.p95``."""


def metric_of(expr: str) -> Metric | None:
    """Return the metric of a threshold such as ``duration.p95 < 50ms``; None for an unknown one."""
    path = re.match(_PATH, expr)
    return find_metric(path[1] + path[2]) if path else None


@cache
def find_metric(path: str) -> Metric | None:
    """Return the metric with a path, which may be one of a service: ``cpu.db.avg``; None for no metric."""
    if path in METRICS:
        return METRICS[path]
    matched = re.fullmatch(SERVICE_USAGE, path)
    return _usage(*matched.groups()) if matched else None


def service_of(path: str) -> RoleName | None:
    """Return the service that a metric is about, if it is one that `METRICS` does not contain."""
    matched = re.fullmatch(SERVICE_USAGE, path)
    return matched[2] if matched and path not in METRICS else None


def usages_of(service: RoleName) -> tuple[Metric, ...]:
    """Return the metrics of a service, in the order of those of other roles."""
    return tuple(_usage(of, service, which) for which in ("avg", "peak") for of in ("cpu", "memory"))
