"""Counts that show a limit: failures by kind, connections that were dropped, memory beside its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.rules.parts import HOST_FULL
from runner.core.codes import Role
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.cpu import role_colours
from runner.report.charts.measured import MeasuredStage, Panels
from runner.report.charts.why_cpu import cpu
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_signs import service_connections
from runner.report.charts.why_stages import WhyStages
from runner.report.metric_text import levels, role_name

_DROPS: Final = {
    "tcp.listen_overflows": "accept queue full",
    "tcp.listen_drops": "connections dropped",
    "tcp.syn_retransmits": "SYN sent again",
    "tcp.req_q_full_drops": "SYN queue full",
    "tcp.timeouts": "TCP timeouts",
    "tcp.attempt_fails": "attempts failed",
}
"""Kernel counter to what it counts."""


def failures(stages: WhyStages) -> Chart | None:
    """Return the share of requests that failed by kind and stage; None without failures."""
    rows = [row for measured in stages.stages for row in _failures(measured)]
    if not rows:
        return None
    stage = stages.limited
    lost = number_format.share(
        stage.requests.lost / stage.requests.scheduled if stage.requests.scheduled else None
    )
    title = f"At {levels(stage)}, {lost} of the requests failed or were dropped"
    spec = _stacked(stages, rows, "share", "% of the requests due", chart.series_colours(_series(rows)))
    words = "Failed and dropped requests by kind, in % of those due"
    if full := service_connections(stages):
        scales = {"x": "independent", "color": "independent", "size": "independent"}
        resolve = {"scale": scales, "legend": {"color": "independent"}}
        spec = {"vconcat": [spec, stacked_panels(stages, [full])], "spacing": 14, "resolve": resolve}
        title = f"{title}; {_fullness(stages, full)}"
        words = f"{words}; below: connections of the service, dashed: its own limit"
    return Chart("why", title, words, spec)


def generator(stages: WhyStages) -> Chart | None:
    """Return the CPU of a full machine that sent the load, else what was not sent; None without either."""
    cores = stages.host_cores
    system = stages.limited.cpu_cores.get(Role.SYSTEM)
    if cores and system and system.avg >= HOST_FULL * cores:
        return cpu(stages)
    return failures(stages)


def _fullness(stages: WhyStages, full: CausePanel) -> str:
    level = next(item for item in stages.evidence if item.name in full.main)
    most = number_format.count(level.threshold)
    return f"{level.name}: {number_format.count(level.value)} of at most {most}"


def _failures(measured: MeasuredStage) -> list[Row]:
    requests = measured.stage.requests
    statuses = requests.statuses or {}
    kinds = {f"status {code}": count for code, count in statuses.items()}
    kinds |= {
        kind: count for kind, count in requests.failures.items() if not (statuses and kind == "bad_status")
    }
    kinds |= {"dropped": requests.dropped}
    due = requests.scheduled or 1
    return [
        measured.row(series=kind, share=round(100 * count / due, 3), count=count)
        for kind, count in kinds.items()
        if count
    ]


def drops(stages: WhyStages) -> Chart | None:
    """Return how often connections were dropped or had to be tried again, by stage; None if never."""
    rows = [row for measured in stages.stages for row in _drops(measured)]
    if not rows:
        return None
    colours = chart.series_colours(_series(rows))
    spec = _stacked(stages, rows, "per_s", "Events per second", colours)
    return Chart("why", stages.statement(), "Connections dropped or tried again, per second", spec)


def _drops(measured: MeasuredStage) -> list[Row]:
    counts: dict[str, float] = {}
    for counter in measured.stage.counters:
        if counter.name in _DROPS and counter.delta:
            name = _DROPS[counter.name]
            counts[name] = counts.get(name, 0.0) + counter.delta
    window_s = measured.stage.window_s or 1.0
    return [
        measured.row(series=name, per_s=round(count / window_s, 3), count=count)
        for name, count in counts.items()
    ]


def memory(stages: WhyStages) -> Chart | None:
    """Return the peak memory by role and stage with the line of the limit; None without memory."""
    rows = [row for measured in stages.stages for row in memory_rows(measured)]
    if not rows:
        return None
    spec = _stacked(stages, rows, "mib", "Memory (MiB)", role_colours(_series(rows)))
    bounds = [item.threshold for item in stages.evidence if item.unit == "MiB" and item.threshold]
    bounds = bounds or _memory_limit(stages)
    rule = {"mark": {"type": "rule", "strokeDash": [6, 4], "color": chart.RED}}
    spec["layer"] += [{**rule, "encoding": {"y": {"datum": bound}}} for bound in bounds[:1]]
    dashed = "; dashed: the limit" if bounds else ""
    return Chart("why", stages.statement(), f"Peak memory by role{dashed}", spec)


def _memory_limit(stages: WhyStages) -> list[float]:
    """Return the limit of the part that was killed for lack of memory, all replicas together."""
    service = stages.services.get(stages.limited.verdict.service or "")
    limits = service.limits if service else stages.app_limits
    replicas = service.replicas if service else stages.limited.replicas
    return [limits.memory_mib * max(replicas, 1)] if limits and limits.memory_mib else []


def memory_rows(measured: MeasuredStage) -> list[Row]:
    """Return the peak memory of each role of a stage."""
    return [
        measured.row(series=role_name(role), mib=usage.peak or usage.avg)
        for role, usage in measured.stage.memory_mib.items()
        if usage and role not in {Role.SYSTEM, Role.OTHER}
    ]


def _series(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["series"]) for row in rows))


def _stacked(stages: WhyStages, rows: Sequence[Row], field: str, title: str, colours: dict[str, str]) -> Spec:
    panels = Panels.of(stages.stages)
    bar: Spec = {
        "mark": {"type": "bar", "width": panels.bar_width},
        "encoding": {
            "x": panels.stage_axis() | {"sort": [measured.label for measured in stages.stages]},
            "y": chart.quantitative(field, title) | {"stack": True},
            "color": chart.colour_scale(colours),
            "tooltip": chart.tooltip("stage", "series", field),
        },
    }
    return {**chart.size(), "data": chart.values(rows), "layer": [bar]}
