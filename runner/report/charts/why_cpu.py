"""CPU of each role against the rate, with the line of the limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import Limit, Role
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.cpu import role_colours
from runner.report.charts.why_stages import WhyStages, level_of
from runner.report.limit_phrases import limiting_role
from runner.report.metric_text import role_name

HOST: Final = "host total"
_HOST_CPU: Final = "host CPU"
"""Its name in evidence."""
_THREAD: Final = "busiest {} thread"
_BROWN: Final = "#A6761D"
"""A colour that no role has."""
LEAST_CORES: Final = 0.005
"""A role that never used more is not drawn."""
_APART: Final = 1.05
"""Ratio of a role's CPU to that of its busiest thread from which both are drawn."""


def cpu(stages: WhyStages) -> Chart | None:
    """Return a line for each role over the rate; of a single rate, a bar for each; None without CPU."""
    role = limiting_role(stages.limited)
    outside = _program_that_limits(stages.limited)
    rows = [
        row
        for measured in stages.stages
        for row in (*_rows(measured.stage, "" if outside else role), *_programs(measured.stage, outside))
    ]
    names = [name for name in dict.fromkeys(str(row["series"]) for row in rows) if _is_used(rows, name)]
    rows = [row for row in rows if row["series"] in names]
    if not rows:
        return None
    threads = {name: _BROWN for name in names if name == _THREAD.format(outside or role_name(role))}
    colours = role_colours(name for name in names if name not in threads) | {HOST: chart.INK} | threads
    colours = {name: colours[name] for name in names}
    bound = cpu_bound(stages)
    many = stages.has_several_levels
    spec = _lines(stages, rows, colours, bound) if many else _bars(rows, colours, bound)
    of = f"; dashed: {bound[1]}" if bound else ""
    subtitle = f"CPU cores by role{' against the rate' if many else ''}{of}"
    covers = frozenset(() if many or stages.configuration else {"cpu"})
    return Chart("why", _title(stages, role), subtitle, spec, covers)


def _title(stages: WhyStages, role: str) -> str:
    """Return the number of the evidence, and how much CPU the part used if that is another number."""
    number, used = stages.main_number, stages.limited.cpu_cores.get(role)
    if used and number and number.name == _HOST_CPU and stages.host_cores:
        cores = number_format.plural(stages.host_cores, "core")
        return f"{stages.place}, the host used {number_format.cores(number.value)} of its {cores}"
    if used is None or number is None or number.unit == "cores":
        return stages.statement()
    return f"{stages.statement()}; {role_name(role)} used {number_format.cores(used.avg)} cores"


def _program_that_limits(stage: Stage) -> str:
    """Return the name of the program outside the experiment that the verdict is about; empty without one."""
    service = stage.verdict.service or ""
    known = {program.name for program in stage.programs if program.serves}
    return service if service in known and not stage.cpu_cores.get(service) else ""


def _rows(stage: Stage, role: str) -> Iterator[Row]:
    for name, usage in stage.cpu_cores.items():
        if usage:
            series = HOST if name == Role.SYSTEM else role_name(name)
            main = name == role
            yield {"level": level_of(stage), "series": series, "cores": usage.avg, "main": main}
    thread, used = _busiest_thread(stage, role), stage.cpu_cores.get(role)
    if thread and used and used.avg > _APART * thread:
        name = _THREAD.format(role_name(role))
        yield {"level": level_of(stage), "series": name, "cores": thread, "main": True}


def _programs(stage: Stage, named: str) -> Iterator[Row]:
    """Yield the CPU, and that of the busiest thread, of the program outside the experiment that limits."""
    for program in stage.programs:
        if program.serves and program.name == named:
            level = level_of(stage)
            yield {"level": level, "series": program.name, "cores": program.cores, "main": True}
            thread = program.busiest_thread
            if thread and program.cores > _APART * thread:
                name = _THREAD.format(program.name)
                yield {"level": level, "series": name, "cores": thread, "main": True}


def _busiest_thread(stage: Stage, role: str) -> float | None:
    """Return the cores that the busiest thread of a role used; None where that is not known."""
    subjects = {name for name, usage in stage.cpu_cores_by_subject.items() if usage.role == role}
    threads = [
        counter.after
        for counter in stage.counters
        if counter.name == "threads.hottest_cores" and counter.scope in subjects
    ]
    return max(threads, default=None)


def _is_used(rows: Sequence[Row], name: str) -> bool:
    return any(row["series"] == name and float(row["cores"] or 0) >= LEAST_CORES for row in rows)


def cpu_bound(stages: WhyStages) -> tuple[float, str] | None:
    """Return the cores at which the limit is, and what that is."""
    limits = stages.app_limits
    if stages.limit is Limit.APP_QUOTA and limits and limits.cpus:
        quota = limits.cpus * max(stages.limited.replicas, 1)
        return quota, f"the app’s quota, {number_format.cores(quota)} cores"
    bounds = [item for item in stages.evidence if item.unit == "cores" and item.threshold is not None]
    is_of_host = stages.limit in {Limit.HOST_CPU, Limit.GENERATOR} or (bounds and bounds[0].name == _HOST_CPU)
    if stages.host_cores and is_of_host:
        return stages.host_cores, f"the host’s {number_format.plural(stages.host_cores, 'core')}"
    if bounds and bounds[0].threshold is not None:
        return bounds[0].threshold, f"bound of the verdict, {number_format.cores(bounds[0].threshold)} cores"
    return None


def _rule(bound: tuple[float, str] | None, channel: str) -> list[Spec]:
    if bound is None:
        return []
    mark = {"type": "rule", "strokeDash": [6, 4], "color": chart.RED, "strokeWidth": 1.5}
    return [{"data": chart.values([{}]), "mark": mark, "encoding": {channel: {"datum": bound[0]}}}]


def _lines(
    stages: WhyStages, rows: Sequence[Row], colours: dict[str, str], bound: tuple[float, str] | None
) -> Spec:
    shared: Spec = {
        "x": stages.level_axis,
        "y": chart.quantitative("cores", "CPU cores"),
        "color": chart.colour_scale(colours),
    }
    line: Spec = {"mark": {"type": "line"}, "encoding": {**shared, "size": chart.MAIN_IS_THICKER}}
    points: Spec = {
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 40},
        "encoding": {**shared, "tooltip": chart.tooltip("series", "level", "cores")},
    }
    return {**chart.size(), "data": chart.values(rows), "layer": [line, points, *_rule(bound, "y")]}


def _bars(rows: Sequence[Row], colours: dict[str, str], bound: tuple[float, str] | None) -> Spec:
    names = [row["series"] for row in sorted(rows, key=lambda row: -float(row["cores"] or 0))]
    y = {
        "field": "series",
        "type": "nominal",
        "sort": names,
        "axis": {"title": None, "grid": False, "labelLimit": 280},
    }
    shared = {"y": y, "x": chart.quantitative("cores", "CPU cores") | {"axis": {"tickCount": 8}}}
    scale = {"domain": list(colours), "range": list(colours.values())}
    bar: Spec = {
        "mark": {"type": "bar", "height": {"band": 0.6}},
        "encoding": {
            **shared,
            "color": {"field": "series", "type": "nominal", "scale": scale, "legend": None},
            **chart.main_is_opaque([str(row["series"]) for row in rows if row.get("main")]),
            "tooltip": chart.tooltip("series", "cores"),
        },
    }
    text: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 6},
        "encoding": {**shared, "text": {"field": "cores", "type": "quantitative", "format": ".2f"}},
    }
    size = {"width": chart.WIDTH, "height": {"step": 30}}
    return {**size, "data": chart.values(rows), "layer": [bar, text, *_rule(bound, "x")]}
