"""Counts that show a limit: failures by kind, connections that were dropped, memory beside its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.rules.parts import HOST_FULL
from runner.core.codes import Role
from runner.core.measured import Requests
from runner.core.metrics import lost_share_of_scenarios
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.cpu import role_colours
from runner.report.charts.measured import MeasuredStage, Panels
from runner.report.charts.why_cpu import cpu
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_signs import service_connections
from runner.report.charts.why_stages import WhyStages, level_of
from runner.report.metric_text import role_name

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
    title = f"{stages.place}, {lost_words(stage)}"
    spec = _lost(stages, rows)
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


def lost_words(stage: Stage) -> str:
    """Return which share of the requests of a stage was lost, to end a sentence with."""
    requests = stage.requests
    share = number_format.share(requests.lost / requests.scheduled if requests.scheduled else None)
    words = f"{share} of the requests failed or were dropped"
    if not stage.scenarios:
        return words
    unfinished = number_format.share(lost_share_of_scenarios(stage))
    return f"{words}, and {unfinished} of the scenarios did not complete"


def failure_kinds(requests: Requests) -> dict[str, int]:
    """Return how many requests were lost by kind; each status that is no success is a kind."""
    statuses = requests.statuses or {}
    kinds = {f"status {code}": count for code, count in statuses.items()}
    kinds |= {
        kind: count for kind, count in requests.failures.items() if not (statuses and kind == "bad_status")
    }
    kinds |= {"dropped": requests.dropped}
    return {kind: count for kind, count in kinds.items() if count}


def _failures(measured: MeasuredStage) -> list[Row]:
    requests = measured.stage.requests
    due = requests.scheduled or 1
    return [
        measured.row(series=kind, share=round(100 * count / due, 3), count=count)
        for kind, count in failure_kinds(requests).items()
    ]


def drops(stages: WhyStages) -> Chart | None:
    """Return how often connections were dropped or had to be tried again, by stage; None if never."""
    rows = [row for measured in stages.stages for row in _drops(measured.stage)]
    if not rows:
        return None
    panel = CausePanel("Events per second", rows, chart.series_colours(_series(rows)))
    words = "Connections dropped or tried again, per second; one connection can count as several of these"
    return Chart("why", stages.statement(), words, stacked_panels(stages, [panel]))


def _drops(stage: Stage) -> list[Row]:
    counts: dict[str, float] = {}
    for counter in stage.counters:
        if counter.name in _DROPS and counter.delta:
            name = _DROPS[counter.name]
            counts[name] = counts.get(name, 0.0) + counter.delta
    window_s = stage.window_s or 1.0
    return [
        {"series": name, "level": level_of(stage), "value": round(count / window_s, 3)}
        for name, count in counts.items()
    ]


def memory(stages: WhyStages) -> Chart | None:
    """Return the peak memory by role and stage with the line of the limit; None without memory."""
    rows: list[Row] = [
        {"series": series, "level": level_of(measured.stage), "value": round(mib, 1)}
        for measured in stages.stages
        for series, mib in memory_by_part(measured.stage).items()
    ]
    if not rows:
        return None
    part = role_name(stages.limited.verdict.service or Role.APP)
    bound, colours = memory_bound(stages), role_colours(_series(rows))
    panel = CausePanel("Memory (MiB)", rows, colours, bound, frozenset({part}))
    dashed = f"; dashed: the limit of {part}" if bound else ""
    spec = stacked_panels(stages, [panel])
    return Chart("why", stages.statement(), f"Peak memory by role{dashed}", spec)


def memory_bound(stages: WhyStages) -> float | None:
    """Return the MiB at which the limit is; None where that is not known."""
    bounds = [item.threshold for item in stages.evidence if item.unit == "MiB" and item.threshold]
    return next(iter([*bounds, *_memory_limit(stages)]), None)


def _memory_limit(stages: WhyStages) -> list[float]:
    """Return the limit of the part that was killed for lack of memory, all replicas together."""
    service = stages.services.get(stages.limited.verdict.service or "")
    limits = service.limits if service else stages.app_limits
    replicas = service.replicas if service else stages.limited.replicas
    return [limits.memory_mib * max(replicas, 1)] if limits and limits.memory_mib else []


def memory_by_part(stage: Stage) -> dict[str, float]:
    """Return the peak memory in MiB of each role, by what people call it."""
    return {
        role_name(role): usage.peak or usage.avg
        for role, usage in stage.memory_mib.items()
        if usage and role not in {Role.SYSTEM, Role.OTHER}
    }


def _series(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["series"]) for row in rows))


def _lost(stages: WhyStages, rows: Sequence[Row]) -> Spec:
    """Return a bar of each stage, stacked by kind; of a single stage, a bar of each kind."""
    colours, title = chart.series_colours(_series(rows)), "% of the requests due"
    if len(stages.stages) == 1:
        level = level_of(stages.limited)
        values = [{"series": row["series"], "level": level, "value": row["share"]} for row in rows]
        return stacked_panels(stages, [CausePanel(title, values, colours)])
    panels = Panels.of(stages.stages)
    bar: Spec = {
        "mark": {"type": "bar", "width": panels.bar_width},
        "encoding": {
            "x": panels.stage_axis() | {"sort": [measured.label for measured in stages.stages]},
            "y": chart.quantitative("share", title) | {"stack": True},
            "color": chart.colour_scale(colours),
            "tooltip": chart.tooltip("stage", "series", "share"),
        },
    }
    return {**chart.size(), "data": chart.values(rows), "layer": [bar]}
