"""Charts with one place for each stage: latency, throughput, CPU, and configurations side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from runner.core.facts import Role
from runner.report import number_format
from runner.report.capacity import shown
from runner.report.charts.chart import (
    BLUE,
    FADING,
    GREEN,
    HEIGHT,
    ORANGE,
    RED,
    ROLE_COLOURS,
    WIDTH,
    Chart,
    Spec,
    colours,
    logarithmic,
    picked,
    values,
)
from runner.report.prose import title

Results = Mapping[str, Any]
Stage = Mapping[str, Any]

_PERCENTILES: Final = {"p50": GREEN, "p95": BLUE, "p99": ORANGE, "max": RED}
_MOST_PANELS: Final = 4
_BAR_SHARE: Final = 0.55
_WIDEST_BAR: Final = 60
_CHARACTER: Final = 6.5
"""Pixels, a generous average."""
_WHO: Final = {
    "app": "the app",
    "proxy": "nginx",
    "forwarder": "docker-proxy",
    "generator": "the load generator",
    "runner": "the runner",
    "daemon": "Docker's daemon",
    "other": "other programs",
}


def measured(results: Results) -> Iterator[tuple[str, Stage]]:
    """Every stage that was measured, with its configuration's title; of searches what decides them."""
    for each in results["configurations"]:
        for stage in shown(each)["stages"]:
            if stage["actual_rps"] is not None and stage["validity"]["status"] != "invalid":
                yield title(each), stage


def label(stage: Stage) -> str:
    """A stage's name, with its repeat if it has several."""
    return str(stage["name"]) + (f" #{stage['repeat']}" if stage["repeat"] > 1 else "")


def place(name: str, stage: Stage, *, several: bool) -> str:
    """A stage within a sentence, with its configuration where there are several."""
    probe = str(stage["name"]).removeprefix("find ") if "find" in stage else str(stage["name"])
    repeat = f" (repeat {stage['repeat']})" if stage["repeat"] > 1 else ""
    return f"{probe}{repeat}" + (f" of {name}" if several else "")


def among_several(stages: Iterable[tuple[str, Stage]]) -> bool:
    """Whether they are of more than one configuration."""
    return len({name for name, _ in stages}) > 1


def latency(results: Results) -> Chart | None:
    """Percentiles by stage, on a logarithmic axis."""
    rows = [
        {"panel": name, "stage": label(stage), "series": each, "ms": stage["response_time_ms"][each]}
        for name, stage in measured(results)
        for each in _PERCENTILES
        if stage["response_time_ms"].get(each)
    ]
    if not rows:
        return None
    y = {"field": "ms", "type": "quantitative", "title": "Response time (ms)"}
    spec = {
        "params": [picked()],
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "opacity": FADING,
            "x": _stages(rows),
            "y": y | logarithmic(row["ms"] for row in rows),
            "color": colours(_PERCENTILES),
            "tooltip": [{"field": each} for each in ("panel", "stage", "series", "ms")],
        },
    }
    panels = _panels(rows, {**spec, "height": HEIGHT})
    return Chart("latency", _latency_title(results), "Response time in ms, logarithmic", panels)


def _latency_title(results: Results) -> str:
    """The quickest stage and the slowest one."""
    stages = [pair for pair in measured(results) if pair[1]["response_time_ms"].get("p95")]
    if not stages:
        return "Response time by stage"
    several = among_several(stages)
    stages.sort(key=lambda pair: float(pair[1]["response_time_ms"]["p95"]))
    (_, low), (_, high) = stages[0], stages[-1]
    p95 = [number_format.ms(each["response_time_ms"]["p95"]) for each in (low, high)]
    where = [place(*pair, several=several) for pair in (stages[0], stages[-1])]
    if low is high:
        return f"95 of 100 answers at {where[0]} came within {p95[0]} ms"
    return f"p95 response time: {p95[0]} ms at {where[0]}, {p95[1]} ms at {where[1]}"


def throughput(results: Results) -> Chart | None:
    """What was answered against what was asked for."""
    stages = list(measured(results))
    rows = [
        {"panel": name, "stage": label(stage), "actual": stage["actual_rps"], "target": stage["target_rps"]}
        for name, stage in stages
    ]
    if not rows:
        return None
    x = _stages(rows)
    tooltip = [{"field": each} for each in ("panel", "stage", "actual", "target")]
    y = {"type": "quantitative", "title": "Requests a second"}
    width = _bar_width(rows)
    bar = {
        "mark": {"type": "bar", "width": width, "color": BLUE},
        "encoding": {"x": x, "y": {"field": "actual", **y}, "tooltip": tooltip},
    }
    tick = {
        "mark": {"type": "tick", "color": RED, "thickness": 3, "opacity": 1, "size": round(width * 1.4)},
        "encoding": {"x": x, "y": {"field": "target", **y}, "tooltip": tooltip},
    }
    spec = _panels(rows, {"layer": [bar, tick], "height": HEIGHT})
    return Chart("throughput", _throughput_title(stages), "Bars: answered a second; lines: offered", spec)


def _throughput_title(stages: Sequence[tuple[str, Stage]]) -> str:
    """The stage that fell furthest behind what was offered."""
    short = [pair for pair in stages if pair[1]["actual_rps"] < pair[1]["target_rps"] * 0.99]
    if not short:
        most = max(float(stage["target_rps"]) for _, stage in stages)
        return f"Every rate that was offered was answered, up to {number_format.rate(most)} requests a second"
    name, worst = min(short, key=lambda pair: float(pair[1]["actual_rps"] / pair[1]["target_rps"]))
    answered, offered = number_format.rate(worst["actual_rps"]), number_format.rate(worst["target_rps"])
    who = name if among_several(stages) else "The service"
    share = number_format.share(worst["actual_rps"] / worst["target_rps"])
    return f"{who} answered {answered} of {offered} requests a second, {share}"


def ledger(results: Results) -> Chart | None:
    """Whose CPU it was, stacked, against what the host has."""
    roles = [str(role) for role in Role if role is not Role.SYSTEM]
    rows = [
        {"panel": name, "stage": label(stage), "series": role, "cores": usage["avg"], "rank": rank}
        for name, stage in measured(results)
        for rank, role in enumerate(roles)
        if (usage := stage["cpu_cores"].get(role))
    ]
    if not rows:
        return None
    names = {role: ROLE_COLOURS[role] for role in roles if any(row["series"] == role for row in rows)}
    bars = {
        "params": [picked()],
        "mark": {"type": "bar", "width": _bar_width(rows)},
        "encoding": {
            "opacity": FADING,
            "x": _stages(rows),
            "y": {"field": "cores", "type": "quantitative", "title": "CPU cores", "stack": True},
            "color": colours(names),
            "order": {"field": "rank"},
            "tooltip": [{"field": each} for each in ("panel", "stage", "series", "cores")],
        },
    }
    cores = results["environment"].get("cpu_count")
    limit = (
        [{"mark": {"type": "rule", "strokeDash": [5, 4]}, "encoding": {"y": {"datum": cores}}}]
        if cores
        else []
    )
    spec = _panels(rows, {"layer": [bars, *limit], "height": HEIGHT})
    return Chart(
        "cpu", _ledger_title(results), f"Average cores by role; dashed: the host's {cores or '?'}", spec
    )


def _ledger_title(results: Results) -> str:
    """The busiest stage, and who used most there."""
    stages = [pair for pair in measured(results) if pair[1]["cpu_cores"].get("system")]
    if not stages:
        return "CPU by role"
    name, stage = max(stages, key=lambda pair: float(pair[1]["cpu_cores"]["system"]["avg"]))
    cores = {role: usage["avg"] for role, usage in stage["cpu_cores"].items() if usage}
    system = cores.pop("system")
    where = place(name, stage, several=among_several(stages))
    busy = f"At {where} {system:.2f} of {results['environment'].get('cpu_count') or '?'} cores were busy"
    if not cores:
        return busy
    role = max(cores, key=lambda each: float(cores[each]))
    return f"{busy}; {_WHO.get(role, role)} used most, {cores[role]:.2f}"


def side_by_side(results: Results) -> Chart | None:
    """The highest rate of each configuration: what was answered, and how fast."""
    best: dict[str, Stage] = {}
    for name, stage in measured(results):
        if name not in best or stage["target_rps"] > best[name]["target_rps"]:
            best[name] = stage
    if len(best) < 2:
        return None
    rows = [
        {
            "configuration": name,
            "stage": label(stage),
            "rps": stage["actual_rps"],
            "rps_text": number_format.rate(stage["actual_rps"]),
            "p95": stage["response_time_ms"]["p95"],
            "p95_text": number_format.ms(stage["response_time_ms"]["p95"]),
            "limit": stage["verdict"]["code"],
        }
        for name, stage in best.items()
    ]
    bar = {"type": "bar", "color": BLUE, "height": {"band": _BAR_SHARE}}
    dot = {"type": "point", "filled": True, "size": 90, "color": ORANGE, "opacity": 1}
    p95 = logarithmic(row["p95"] for row in rows)
    spec: Spec = {
        "data": values(rows),
        "hconcat": [
            _best("rps", "Answered a second", bar, {}, named=True),
            _best("p95", "p95 response time (ms), logarithmic", dot, p95, named=False),
        ],
    }
    return Chart("configurations", _best_title(rows), "Each at its highest rate", spec)


def _best(field: str, heading: str, mark: Spec, axis: Spec, *, named: bool) -> Spec:
    """One number of every configuration, written beside its mark."""
    y: Spec = {"field": "configuration", "type": "nominal", "sort": None}
    y |= {"axis": {"title": None, "labelLimit": 280, "grid": not named}} if named else {"axis": None}
    tooltip = [{"field": each} for each in ("configuration", "stage", "rps", "p95", "limit")]
    x = {"field": field, "type": "quantitative", "title": heading, **axis}
    text = {
        "mark": {"type": "text", "align": "left", "dx": 8},
        "encoding": {"text": {"field": f"{field}_text"}},
    }
    return {
        "width": WIDTH / 2 - 80,
        "height": {"step": 28},
        "encoding": {"y": y, "x": x, "tooltip": tooltip},
        "layer": [{"mark": mark}, text],
    }


def _best_title(rows: Sequence[Mapping[str, Any]]) -> str:
    most, least = (pick(rows, key=lambda row: float(row["rps"] or 0)) for pick in (max, min))
    if most["rps_text"] == least["rps_text"]:
        return f"All configurations answered {most['rps_text']} a second"
    return (
        f"{most['configuration']} answered {most['rps_text']} a second, "
        f"{least['configuration']} {least['rps_text']}"
    )


def _stages(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """The axis of stages, its labels slanted where they would run into each other."""
    panels, most = _counted(rows)
    room = _panel_width(panels) / most
    slanted = max(len(row["stage"]) for row in rows) * _CHARACTER > room
    axis = {"labelAngle": -40 if slanted else 0, "labelLimit": 140, "title": None}
    return {"field": "stage", "type": "nominal", "sort": None, "axis": axis}


def _bar_width(rows: Sequence[Mapping[str, Any]]) -> int:
    """The same in all panels, in pixels."""
    panels, most = _counted(rows)
    return round(min(_BAR_SHARE * _panel_width(panels) / most, _WIDEST_BAR))


def _counted(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many panels, and the most stages that one of them has."""
    panels = {row["panel"] for row in rows}
    return len(panels), max(len({row["stage"] for row in rows if row["panel"] == each}) for each in panels)


def _panel_width(panels: int) -> int:
    return WIDTH if panels == 1 else WIDTH // 2 - 30


def _panels(rows: Sequence[Mapping[str, Any]], spec: Spec) -> Spec:
    """One panel, or one beside the other for each configuration; many share one with a menu of none."""
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    if len(panels) == 1:
        return {"data": values(rows), "width": WIDTH, **spec}
    height = HEIGHT if len(panels) <= _MOST_PANELS else HEIGHT // 2
    return {
        "data": values(rows),
        "facet": {"field": "panel", "type": "nominal", "sort": panels, "title": None},
        "columns": 2,
        "spec": {**spec, "width": _panel_width(len(panels)), "height": height},
        "resolve": {"scale": {"x": "independent"}},
    }
