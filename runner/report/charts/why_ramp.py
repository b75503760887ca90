"""A ramp up to its limit: what was offered and achieved at each level, and below it what ran out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final, TypeAlias

from runner.analyze.ramp_limit import limited_part
from runner.analyze.rules.peers import connections
from runner.core.codes import Limit, Role
from runner.core.measured import Slice
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.cpu import role_colours
from runner.report.charts.why_counts import failure_kinds, lost_words, memory_bound
from runner.report.charts.why_cpu import HOST, LEAST_CORES, cpu_bound
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_stages import WhyStages
from runner.report.limit_phrases import limiting_role
from runner.report.metric_text import level_unit, role_name

_Panel: TypeAlias = Callable[[WhyStages], CausePanel | None]
_OFFERED: Final = "offered"
_ACHIEVED: Final = "achieved"
_PERCENTILE: Final = "p95"
_UNDER_WAY: Final = "requests under way"


def ramp(stages: WhyStages) -> Chart | None:
    """Return the rates and the cause of the limit over the level of a ramp; None without slices."""
    rates = _rates(stages)
    if rates is None:
        return None
    made = [panel for make in _CAUSES.get(stages.limit, _QUEUE) if (panel := make(stages)) is not None]
    made = made or [panel for make in _QUEUE if (panel := make(stages)) is not None]
    part = limited_part(stages.limited)
    dashed = [panel.bound_name for panel in made if panel.bound is not None]
    subtitle = "Rates and the cause of the limit at each level"
    subtitle += f"; dashed: {number_format.listed(dashed)}" if dashed else ""
    subtitle += "; shaded: at the limit" if part else ""
    spec = stacked_panels(stages, [rates, *made], at_limit=part.level if part else None)
    return Chart("why", _title(stages, rates), subtitle, spec)


def _title(stages: WhyStages, rates: CausePanel) -> str:
    most = max(float(row["value"] or 0.0) for row in rates.rows if row["series"] == _ACHIEVED)
    unit = "scenarios/s" if stages.limited.scenarios else "RPS"
    reached = f"{stages.place}, at most {number_format.rate(most)} {unit} were achieved"
    if stages.limit is Limit.ERROR:
        return f"{reached}; {lost_words(stages.limited)}"
    return f"{reached}; {stages.first_number()}" if stages.evidence else reached


def _rates(stages: WhyStages) -> CausePanel | None:
    """Return what was achieved in each slice, beside what was offered if it is a rate."""
    stage = stages.limited
    is_offered = level_unit(stage) != "users"
    rows: list[Row] = []
    for part in stage.slices:
        level, actual = part.level.mean, part.scenarios_per_s if stage.scenarios else part.actual_rps
        rows += [{"series": _OFFERED, "level": level, "value": round(level, 3)}] if is_offered else []
        if actual is not None:
            rows.append({"series": _ACHIEVED, "level": level, "value": actual})
    if not any(row["series"] == _ACHIEVED for row in rows):
        return None
    colours = ({_OFFERED: chart.RED} if is_offered else {}) | {_ACHIEVED: chart.BLUE}
    title = "Scenarios per second" if stage.scenarios else "Requests per second"
    return CausePanel(title, rows, colours, main=frozenset({_ACHIEVED}))


def _cpu(stages: WhyStages) -> CausePanel | None:
    """Return the CPU of each role in each slice against its bound; None where that of the part is unknown."""
    stage, bound = stages.limited, cpu_bound(stages)
    by_slice = [(part.level.mean, _cores(stage, at)) for at, part in enumerate(stage.slices)]
    used = {role for _, cores in by_slice for role, value in cores.items() if value >= LEAST_CORES}
    rows: list[Row] = [
        {"series": _series(role), "level": level, "value": round(value, 3)}
        for level, cores in by_slice
        for role, value in cores.items()
        if role in used
    ]
    names = dict.fromkeys(str(row["series"]) for row in rows)
    if _series(limiting_role(stage)) not in names:
        return None
    known = role_colours(role for role in used if role != Role.SYSTEM) | {HOST: chart.INK}
    main = frozenset({_series(limiting_role(stage))})
    level, words = bound or (None, "")
    return CausePanel("CPU cores", rows, {name: known[name] for name in names}, level, main, words)


def _series(role: str) -> str:
    return HOST if role == Role.SYSTEM else role_name(role)


def _cores(stage: Stage, at: int) -> Mapping[str, float]:
    """Return the cores of each role in a slice; of older results, those that were kept by second."""
    if stage.slices[at].cpu_cores:
        return stage.slices[at].cpu_cores
    seconds = stage.slice(at).timeseries
    app = [second.cpu_app for second in seconds if second.cpu_app is not None]
    system = [second.cpu_system for second in seconds if second.cpu_system is not None]
    return {str(role): fmean(used) for role, used in ((Role.APP, app), (Role.SYSTEM, system)) if used}


def _host(stages: WhyStages) -> CausePanel | None:
    """Return the CPU of the whole machine, which shows that it was not the cause."""
    stage = stages.limited
    rows: list[Row] = [
        {"series": HOST, "level": part.level.mean, "value": round(cores[Role.SYSTEM], 3)}
        for at, part in enumerate(stage.slices)
        if Role.SYSTEM in (cores := _cores(stage, at))
    ]
    if not rows or not stages.host_cores:
        return None
    words = f"the host’s {number_format.plural(stages.host_cores, 'core')}"
    return CausePanel("CPU cores", rows, {HOST: chart.INK}, stages.host_cores, bound_name=words)


def _under_way(stages: WhyStages) -> CausePanel | None:
    """Return the requests under way in each slice, against the size of the pool that they wait for."""
    stage = stages.limited
    rows: list[Row] = []
    for at, part in enumerate(stage.slices):
        if seconds := stage.slice(at).timeseries:
            mean = fmean(second.in_flight for second in seconds)
            rows.append({"series": _UNDER_WAY, "level": part.level.mean, "value": round(mean, 2)})
    if not any(row["value"] for row in rows):
        return None
    size, words = _pool(stage) if stages.limit is Limit.POOL else (None, "")
    return CausePanel(
        "Requests under way", rows, {_UNDER_WAY: chart.GREEN}, size, frozenset({_UNDER_WAY}), words
    )


def _pool(stage: Stage) -> tuple[float | None, str]:
    """Return how many connections the app had to the service that the verdict names."""
    known = next((one for one in connections(stage) if one.service == stage.verdict.service), None)
    if known is None:
        return None, ""
    connected = number_format.plural(round(known.established), "connection")
    return known.established, f"the app’s {connected} to {known.service}"


def _p95(stages: WhyStages) -> CausePanel | None:
    """Return the p95 duration in each slice; None where none has a finite one."""
    rows: list[Row] = [
        {"series": _PERCENTILE, "level": part.level.mean, "value": ms}
        for part in stages.limited.slices
        if (ms := part.duration_ms.p95) is not None
    ]
    return (
        CausePanel("Duration (ms)", rows, {_PERCENTILE: chart.ORANGE}, main=frozenset({_PERCENTILE}))
        if rows
        else None
    )


def _failures(stages: WhyStages) -> CausePanel | None:
    """Return the share of the requests of each slice that failed or were dropped, by kind."""
    rows = [row for part in stages.limited.slices for row in _lost(part)]
    kinds = dict.fromkeys(str(row["series"]) for row in rows if row["value"])
    if not kinds:
        return None
    complete = [
        {"series": kind, "level": part.level.mean, "value": shares.get(kind, 0.0)}
        for part in stages.limited.slices
        for shares in [{str(row["series"]): row["value"] for row in _lost(part)}]
        for kind in kinds
    ]
    return CausePanel("% of the requests lost", complete, chart.series_colours(kinds), main=frozenset(kinds))


def _lost(part: Slice) -> Iterator[Row]:
    for kind, count in failure_kinds(part.requests).items():
        share = round(100 * count / max(part.requests.scheduled, 1), 3)
        yield {"series": kind, "level": part.level.mean, "value": share}


def _memory(stages: WhyStages) -> CausePanel | None:
    """Return the memory of each role at the end of each slice, against the limit of the one that needs it."""
    stage = stages.limited
    rows: list[Row] = []
    for at, part in enumerate(stage.slices):
        known = [second.memory_mib for second in stage.slice(at).timeseries if second.memory_mib]
        for role, mib in known[-1].items() if known else ():
            rows.append({"series": role_name(role), "level": part.level.mean, "value": round(mib, 1)})
    names = dict.fromkeys(str(row["series"]) for row in rows)
    if not names:
        return None
    bound = memory_bound(stages)
    main = frozenset({role_name(stage.verdict.service or Role.APP)})
    return CausePanel("Memory (MiB)", rows, role_colours(names), bound, main, "the limit")


_QUEUE: Final[Sequence[_Panel]] = (_p95, _under_way)
_CAUSES: Final[Mapping[Limit, Sequence[_Panel]]] = {
    Limit.GENERATOR: (_failures, _cpu),
    Limit.HOST_CPU: (_cpu,),
    Limit.APP_CPU: (_cpu,),
    Limit.APP_QUOTA: (_cpu,),
    Limit.PROXY_CPU: (_cpu,),
    Limit.FORWARDER: (_cpu,),
    Limit.SERVICE: (_cpu,),
    Limit.CONNECTION: (_failures, _under_way),
    Limit.APP_CONCURRENCY: (_under_way, _host),
    Limit.ERROR: (_failures,),
    Limit.MEMORY: (_memory,),
    Limit.POOL: (_under_way,),
}
"""What limits to the panels below the rates; others have the latency and the queue."""
