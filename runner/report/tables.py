"""The report's tables, from results.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from runner.report import number_format
from runner.report.markdown_text import code, escape, table
from runner.report.sparkline import sparkline

Stage = Mapping[str, Any]
_GAP: Final = "–"
_ROLES: Final = ("app", "proxy", "forwarder", "daemon", "generator", "runner", "other", "system")
_DIFFERS: Final = 1.2


def stage_name(stage: Stage) -> str:
    """The stage's name, with its repeat when it is not the first."""
    repeat = f" (repeat {stage['repeat']})" if stage["repeat"] > 1 else ""
    return escape(stage["name"]) + repeat


def details(stages: Sequence[Stage]) -> str:
    """The detailed results: stages as columns, or Metric and Result for a single one."""
    head = ["Metric", *map(stage_name, stages)] if len(stages) > 1 else ["Metric", "Result"]
    rows: list[list[str]] = []
    for group in _groups(stages):
        if rows:
            rows.append([_GAP] * len(head))
        rows += [[f"**{label}**", *(cell(stage) for stage in stages)] for label, cell in group]
    return table(head, rows)


def _groups(stages: Sequence[Stage]) -> list[list[tuple[str, Callable[[Stage], str]]]]:
    several = any(stage["replicas"] > 1 for stage in stages)
    app = "App CPU Cores, combined" if several else "CPU Cores"
    latency = [
        ("Avg Duration (ms)", _latency("duration_ms", "mean")),
        ("p50 Duration (ms)", _latency("duration_ms", "p50")),
        ("p95 Duration (ms)", _latency("duration_ms", "p95")),
        ("p99 Duration (ms)", _latency("duration_ms", "p99")),
    ]
    if any(stage.get("calibration") for stage in stages):
        latency.append(("Generator's own p50 / p95 / p99 (ms)", _floor))
    if any(_known(stage, "response_time_ms") for stage in stages):
        latency.append(("p95 Response Time (ms)", _response_time))
    if any(_known(stage, "connect_ms") for stage in stages):
        latency.append(("p95 Connect (ms)", _connect))
    if any(_known(stage, "tls_ms") for stage in stages):
        latency.append(("p95 TLS Handshake (ms)", _latency("tls_ms", "p95")))
    return [
        [
            ("Target Throughput (RPS)", lambda stage: number_format.rate(stage["target_rps"])),
            ("Actual RPS", _actual),
            ("Achieved", lambda stage: number_format.share(stage["achieved"])),
            ("Failed or dropped", _lost),
        ],
        [
            (f"Avg {app}", _cpu("app", "avg")),
            (f"Peak {app}", _cpu("app", "peak")),
            ("Avg Total System CPU", _cpu("system", "avg")),
        ],
        latency,
    ]


def _known(stage: Stage, latency: str) -> bool:
    return latency in stage and stage[latency]["p95"] is not None


def _latency(name: str, statistic: str) -> Callable[[Stage], str]:
    return lambda stage: number_format.ms(stage[name][statistic])


def _floor(stage: Stage) -> str:
    """What the generator shows at this rate with nothing to measure."""
    found = (stage.get("calibration") or {}).get("duration_ms") or {}
    return " / ".join(number_format.ms(found.get(name)) for name in ("p50", "p95", "p99"))


def _connect(stage: Stage) -> str:
    if stage["connect_ms"]["p95"] is None and stage["requests"]["succeeded"]:
        return "none opened"
    return number_format.ms(stage["connect_ms"]["p95"])


def _response_time(stage: Stage) -> str:
    """In bold where a user waits notably longer than the duration tells."""
    shown = number_format.ms(stage["response_time_ms"]["p95"])
    return f"**{shown}**" if differs(stage) else shown


def differs(stage: Stage) -> bool:
    """Whether response time and duration tell different stories: a fifth and a millisecond apart at p95."""
    response, duration = stage["response_time_ms"]["p95"], stage["duration_ms"]["p95"]
    if response is None or duration is None:
        return False
    return bool(response > _DIFFERS * duration and response - duration > 1)


def _actual(stage: Stage) -> str:
    shown = number_format.rate(stage["actual_rps"])
    missed = stage["achieved"] is not None and stage["achieved"] < 0.99
    return f"**{shown}**" if missed else shown


def _lost(stage: Stage) -> str:
    requests = stage["requests"]
    lost = requests["failed"] + requests["dropped"]
    if not requests["scheduled"]:
        return number_format.NOT_MEASURED
    return f"**{lost:,}**" if lost else "0"


def _cpu(role: str, which: str) -> Callable[[Stage], str]:
    return lambda stage: number_format.cores((stage["cpu_cores"].get(role) or {}).get(which))


def ledger(stages: Sequence[Stage]) -> str:
    """Whose CPU it was: average cores by role, and the host's total they add up to."""
    present = [role for role in _ROLES if any(stage["cpu_cores"].get(role) for stage in stages)]
    rows = [[_role(role), *(_ledger_cell(stage, role) for stage in stages)] for role in present]
    return table(["Avg CPU Cores", *map(stage_name, stages)], rows) if rows else ""


def _role(role: str) -> str:
    return "**system, all of the above**" if role == "system" else role


def _ledger_cell(stage: Stage, role: str) -> str:
    return number_format.cores((stage["cpu_cores"].get(role) or {}).get("avg"))


def replicas(stages: Sequence[Stage]) -> str:
    """CPU, share of requests and throttling of every replica; empty for one replica without a quota."""
    names = [
        name
        for name in dict.fromkeys(name for stage in stages for name in stage["cpu_cores_by_subject"])
        if any(stage["cpu_cores_by_subject"].get(name, {}).get("role") == "app" for stage in stages)
    ]
    rows: list[list[str]] = []
    if len(names) > 1:
        rows += _replica_rows(stages, names, "CPU cores", _replica_cpu)
    if len(names) > 1 and any(stage["requests_by_subject"] for stage in stages):
        rows += _replica_rows(stages, names, "requests", _replica_share)
    limited = [
        name for name in names if any(name in stage.get("throttling_by_subject", {}) for stage in stages)
    ]
    rows += _replica_rows(stages, limited, "periods throttled by its CPU limit", _replica_throttled)
    return table(["Replica", *map(stage_name, stages)], rows) if rows else ""


def _replica_rows(
    stages: Sequence[Stage], names: Sequence[str], what: str, cell: Callable[[Stage, str], str]
) -> list[list[str]]:
    return [[f"{escape(name)}, {what}", *(cell(stage, name) for stage in stages)] for name in names]


def _replica_throttled(stage: Stage, name: str) -> str:
    found = stage.get("throttling_by_subject", {}).get(name)
    if found is None:
        return number_format.NOT_MEASURED
    return number_format.share(found["throttled"] / found["periods"]) if found["periods"] else "0 %"


def _replica_cpu(stage: Stage, name: str) -> str:
    usage = (stage["cpu_cores_by_subject"].get(name) or {}).get("cpu") or {}
    return number_format.cores(usage.get("avg"))


def _replica_share(stage: Stage, name: str) -> str:
    counted = stage["requests_by_subject"]
    total = sum(counted.values())
    if name not in counted or not total:
        return number_format.NOT_MEASURED
    replicas = [each for each, found in stage["cpu_cores_by_subject"].items() if found["role"] == "app"]
    if any(each not in counted for each in replicas):
        return f"{counted[name]:,}"  # a share of what only some of them told would be too large
    return f"{counted[name]:,} ({number_format.share(counted[name] / total)})"


def thresholds(stages: Sequence[Stage]) -> str:
    """Every threshold of every stage with its value; empty without any."""
    rows = [
        [
            code(each["expr"]),
            stage_name(stage),
            threshold_value(each),
            "passed" if each["ok"] else "**failed**",
        ]
        for stage in stages
        for each in stage["thresholds"]
    ]
    head = ["Threshold", "Stage", "Measured", "Result"]
    return table(head, rows, figures=False) if rows else ""


def threshold_value(threshold: Mapping[str, Any]) -> str:
    """What was measured for a threshold, in its unit."""
    value, metric = threshold["value"], threshold["expr"].strip()
    if metric.startswith(("achieved", "errors")):
        return number_format.share(value)
    if metric.startswith(("cpu", "memory")):
        return number_format.cores(value) if metric.startswith("cpu") else number_format.mib(value)
    if metric.startswith(("actual_rps", "dropped")):
        return number_format.rate(value)
    return number_format.NOT_MEASURED if value is None else f"{number_format.ms(value)} ms"


def failures(configurations: Sequence[Mapping[str, Any]]) -> str:
    """Every request of every stage in exactly one column."""
    stages = [(each["name"], stage) for each in configurations for stage in each["stages"]]
    kinds = sorted({kind for _, stage in stages for kind in stage["requests"]["failures"]})
    head = ["Stage", "scheduled", "succeeded", *kinds, "dropped"]
    rows = [[_place(name, stage, len(configurations)), *_counts(stage, kinds)] for name, stage in stages]
    return table(head, rows)


def _counts(stage: Stage, kinds: Sequence[str]) -> list[str]:
    requests = stage["requests"]
    if stage["status"] == "not-run":
        return [_GAP] * (len(kinds) + 3)
    failed = [number_format.count(requests["failures"].get(kind, 0)) for kind in kinds]
    return [
        number_format.count(requests["scheduled"]),
        number_format.count(requests["succeeded"]),
        *failed,
        number_format.count(requests["dropped"]),
    ]


def _place(configuration: str, stage: Stage, configurations: int) -> str:
    name = stage_name(stage)
    return name if configurations == 1 else f"{escape(configuration)}, {name}"


def over_time(configurations: Sequence[Mapping[str, Any]]) -> str:
    """A small curve for the rate and the latency of every stage, where there is no room for charts."""
    rows = [
        [
            _place(each["title"] or each["name"], stage, len(configurations)),
            code(sparkline([second["rps"] for second in seconds], top=stage["target_rps"])),
            code(sparkline([second["p95_ms"] for second in seconds])),
            number_format.ms(max((second["p95_ms"] or 0 for second in seconds), default=None)),
        ]
        for each in configurations
        for stage in each["stages"]
        if (seconds := [second for second in stage["timeseries"] if second["t_s"] > 0])
    ]
    head = ["Stage", "Answers a second (full height: target)", "p95 by second", "Slowest p95 (ms)"]
    return table(head, rows, words=(1, 2)) if rows else ""


def environment(facts: Mapping[str, Any]) -> str:
    """The host as it was."""
    known = {name: value for name, value in facts.items() if value is not None}
    rows = [[name.replace("_", " "), escape(str(value))] for name, value in known.items()]
    return table(["Host", "Value"], rows, figures=False)


def comparison(configurations: Sequence[Mapping[str, Any]]) -> str:
    """All stages of all configurations below each other, for one look."""
    head = [
        "Configuration",
        "Stage",
        "Actual RPS",
        "Achieved",
        "p95 Duration (ms)",
        "App CPU",
        "System CPU",
        "Limit",
    ]
    rows = [
        [
            escape(each["title"] or each["name"]),
            stage_name(stage),
            _actual(stage),
            number_format.share(stage["achieved"]),
            number_format.ms(stage["duration_ms"]["p95"]),
            _cpu("app", "avg")(stage),
            _cpu("system", "avg")(stage),
            stage["verdict"]["code"] if stage["status"] != "not-run" else "not run",
        ]
        for each in configurations
        for stage in each["stages"]
    ]
    return table(head, rows)
