"""Requests that wait although CPU is left: for a connection of a pool, or for something inside the app."""

from __future__ import annotations

from typing import Final

from runner.analyze.little import little
from runner.analyze.rules.peers import Connections, connections
from runner.core.codes import Limit, Role
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_stages import WhyStages, level_of

_OPEN: Final = "connections open"
_USED: Final = "connections in use"
_UNDER_WAY: Final = "requests under way"
_APP: Final = "app"
_HOST: Final = "host total"


def waits(stages: WhyStages) -> Chart | None:
    """Return the pool in use against its size, requests under way and CPU; None where none was counted.

    The pool is drawn where all of its connections were in use, and the CPU where that is not the cause.
    """
    in_flight = _in_flight(stages)
    pool = _pool(stages)
    if not in_flight or (pool is None and stages.limit is Limit.POOL):
        return None
    used = _connections(stages, pool.service) if pool else None
    size = pool.established if pool else None
    under_way = CausePanel(
        "Requests under way", in_flight, {_UNDER_WAY: chart.GREEN}, size, frozenset({_UNDER_WAY})
    )
    idle = _cpu(stages)
    panels = [panel for panel in (used, under_way, idle) if panel is not None]
    return Chart("why", _title(stages, pool), _subtitle(stages, pool, idle), stacked_panels(stages, panels))


def _pool(stages: WhyStages) -> Connections | None:
    """Return the connections that the verdict is about."""
    known = connections(stages.limited)
    service = stages.limited.verdict.service
    named = next((one for one in known if service and one.service == service), None)
    if named or stages.limit is not Limit.POOL:
        return named if named and named.all_waited else None
    if service:  # the pool is in another service, whose requests under way are not drawn
        return None
    return next((one for one in known if one.all_waited), None)


def _connections(stages: WhyStages, service: str) -> CausePanel:
    rows: list[Row] = []
    for one in stages.stages:
        known = next((it for it in connections(one.stage) if it.service == service), None)
        if known:
            level = level_of(one.stage)
            rows.append({"series": _USED, "level": level, "value": round(known.waiting, 2)})
            rows.append({"series": _OPEN, "level": level, "value": round(known.established, 2)})
    colours = {_USED: chart.BLUE, _OPEN: chart.RED}
    return CausePanel(f"Connections to {service}", rows, colours, main=frozenset({_USED}))


def _in_flight(stages: WhyStages) -> list[Row]:
    return [
        {"series": _UNDER_WAY, "level": level_of(one.stage), "value": round(known.in_flight, 2)}
        for one in stages.stages
        if (known := little(one.stage))
    ]


def _cpu(stages: WhyStages) -> CausePanel | None:
    """Return the CPU that the app and all of the host used, which shows that it was not the cause."""
    rows: list[Row] = [
        {"series": series, "level": level_of(one.stage), "value": usage.avg}
        for one in stages.stages
        for role, series in ((Role.APP, _APP), (Role.SYSTEM, _HOST))
        if (usage := one.stage.cpu_cores.get(role))
    ]
    names = {str(row["series"]) for row in rows}
    if _HOST not in names or stages.host_cores is None:
        return None
    colours = ({_APP: chart.BLUE} if _APP in names else {}) | {_HOST: chart.INK}
    return CausePanel("CPU cores", rows, colours, stages.host_cores)


def _counted(stage: Stage) -> float:
    known = little(stage)
    return known.in_flight if known else 0.0


def _title(stages: WhyStages, pool: Connections | None) -> str:
    stage = stages.limited
    under_way = f"{number_format.count(round(_counted(stage)))} requests were under way"
    if pool is None:
        return f"{stages.place}, {under_way}{_busy(stages)}: they waited inside the service"
    share = number_format.share(min(pool.share, 1.0))
    connected = number_format.plural(round(pool.established), "connection")
    ending = "the others waited for one" if stages.limit is Limit.POOL else f"they waited for {pool.service}"
    return (
        f"{stages.place}, {share} of the app’s {connected} to {pool.service} were in use while "
        f"{under_way}: {ending}"
    )


def _busy(stages: WhyStages) -> str:
    """Return how little CPU the app used, or else how much of the host was in use."""
    cpu = stages.limited.cpu_cores
    if used := cpu.get(Role.APP):
        return f" while the app used {number_format.cores(used.avg)} cores"
    of = f" of {stages.host_cores}" if stages.host_cores else ""
    used = cpu.get(Role.SYSTEM)
    return f", with {number_format.cores(used.avg)}{of} cores busy" if used else ""


def _subtitle(stages: WhyStages, pool: Connections | None, idle: CausePanel | None) -> str:
    parts = [f"connections to {pool.service}"] if pool else []
    parts += ["requests under way", *(["CPU"] if idle else [])]
    dashed = [f"{number_format.plural(round(pool.established), 'connection')}"] if pool else []
    dashed += (
        [f"the host’s {number_format.plural(stages.host_cores, 'core')}"]
        if idle and stages.host_cores
        else []
    )
    words = number_format.listed(parts)
    against = " against the rate" if stages.has_several_levels else ""
    rule = f"; dashed: {number_format.listed(dashed)}" if dashed else ""
    return f"{words[:1].upper()}{words[1:]}{against}{rule}"
