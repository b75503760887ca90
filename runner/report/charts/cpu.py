"""CPU usage of each stage by role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from runner.core.codes import Role
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, Panels, measured_stages, several_configurations
from runner.report.metric_text import role_name

_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    Role.APP.value: (chart.BLUE, "the app"),
    Role.PROXY.value: (chart.ORANGE, "nginx"),
    Role.FORWARDER.value: (chart.RED, "docker-proxy"),
    Role.GENERATOR.value: (chart.GREEN, "the load generator"),
    Role.RUNNER.value: (chart.PINK, "the runner"),
    Role.DAEMON.value: (chart.SKY, "Docker's daemon"),
    Role.OTHER.value: (chart.GREY, "other programs"),
}
"""Role to its colour and to what it is called in a sentence."""


def cpu_by_role(results: Results) -> Chart | None:
    """Return the average CPU usage of each role, stacked, beside the host's cores."""
    stages = [measured for measured in measured_stages(results) if _cores(measured.stage)]
    if not stages:
        return None
    colours, panels = _colours(stages), Panels.of(stages)
    bars = panels.stacked_bars("cores", "CPU cores", colours, rank="rank")
    several = any(measured.stage.nodes for measured in stages)  # no host has the cores of all nodes
    cores = None if several else results.cpu_count
    spec = panels.arrange(_rows(stages, list(colours)), {"layer": [bars, *_host_limit(cores)]})
    limit = f"; dashed line: the host's {cores} cores" if cores else ", all nodes together" if several else ""
    return Chart("cpu", _title(stages, cores), f"Average CPU cores by role{limit}", spec)


def _cores(stage: Stage) -> dict[str, float]:
    """Return role to cores; the host's total is no role of its own."""
    return {role: usage.avg for role, usage in stage.cpu_cores.items() if usage and role != Role.SYSTEM}


def _colours(stages: Sequence[MeasuredStage]) -> dict[str, str]:
    """Return the roles that were observed, in stacking order, services last."""
    present = dict.fromkeys(role for measured in stages for role in _cores(measured.stage))
    return role_colours(present)


def role_colours(roles: Iterable[str]) -> dict[str, str]:
    """Return the colour of what each role is called, in stacking order, services last."""
    names = dict.fromkeys(map(role_name, roles))
    known = {role_name(role): colour for role, (colour, _) in _ROLES.items() if role_name(role) in names}
    services = (name for name in names if name not in known)
    return known | chart.series_colours(services, after=len(_ROLES))


def _rows(stages: Sequence[MeasuredStage], names: Sequence[str]) -> list[Row]:
    return [
        measured.row(series=role_name(role), cores=cores, rank=names.index(role_name(role)))
        for measured in stages
        for role, cores in _cores(measured.stage).items()
    ]


def _host_limit(cores: int | None) -> list[Spec]:
    if not cores:
        return []
    return [{"mark": {"type": "rule", "strokeDash": [5, 4]}, "encoding": {"y": {"datum": cores}}}]


def _busiest_role(stages: Sequence[MeasuredStage]) -> str:
    """Name the role that used the most CPU in any stage; of several machines, which have no total."""
    used = [(cores, role, measured) for measured in stages for role, cores in _cores(measured.stage).items()]
    if not used:
        return "CPU by role"
    cores, role, measured = max(used, key=lambda one: one[0])
    where = measured.place(several=several_configurations(stages))
    return f"At {where}, {_ROLES.get(role, ('', role))[1]} used the most CPU, {cores:.2f} cores"


def _title(stages: Sequence[MeasuredStage], host_cores: int | None) -> str:
    """Name the busiest stage, and the role that used the most CPU there."""
    busy = [
        (usage.avg, measured) for measured in stages if (usage := measured.stage.cpu_cores.get(Role.SYSTEM))
    ]
    if not busy:
        return _busiest_role(stages)
    system, busiest = max(busy, key=lambda pair: pair[0])
    where = busiest.place(several=several_configurations(measured for _, measured in busy))
    total = f" of {host_cores}" if host_cores else ""
    sentence = f"At {where}, {system:.2f}{total} cores were busy"
    cores = _cores(busiest.stage)
    if not cores:
        return sentence
    role = max(cores, key=cores.__getitem__)
    _, name = _ROLES.get(role, ("", role))
    if role == Role.OTHER and any(program.serves for program in busiest.stage.programs):
        name = "programs that were not observed"  # of which some serve the app
    return f"{sentence}; {name} used the most, {cores[role]:.2f}"
