"""A CPU quota that throttles: the share of periods in which it did, beside the CPU in use and the quota."""

from __future__ import annotations

from typing import Final

from runner.analyze.rules.cpu_bounds import THROTTLED, throttled_shares
from runner.core.codes import Role
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.cpu import role_colours
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_stages import WhyStages, level_of
from runner.report.limit_phrases import limiting_role
from runner.report.metric_text import role_name

_MOST_SUBJECTS: Final = 8
"""Lines that can be told from each other; of more replicas, those that were throttled most are drawn."""


def quota(stages: WhyStages) -> Chart | None:
    """Return throttled periods and CPU against the quota; None where no quota is known to have throttled."""
    role = limiting_role(stages.limited)
    limited = throttled_shares(stages.limited, role)
    if max(limited.values(), default=0.0) <= THROTTLED:
        return None
    shown = set(sorted(limited, key=lambda name: -limited[name])[:_MOST_SUBJECTS])
    rows = [row for one in stages.stages for row in _throttled(one.stage, role, shown)]
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    throttled = CausePanel(
        "% of periods throttled", rows, chart.series_colours(names), THROTTLED * 100, frozenset(names)
    )
    cores = _quota_cores(stages, role)
    used = _cpu(stages, role, cores)
    spec = stacked_panels(stages, [throttled, *([used] if used else [])])
    words = f"{number_format.share(THROTTLED)} of the periods"
    dashed = f"; dashed: {words}" + (f" and the quota, {number_format.cores(cores)} cores" if cores else "")
    title = _title(stages, role, max(limited.values()), cores)
    return Chart("why", title, f"Share of throttled periods, and CPU in cores{dashed}", spec)


def _throttled(stage: Stage, role: str, shown: set[str]) -> list[Row]:
    shares = throttled_shares(stage, role)
    return [
        {"series": name, "level": level_of(stage), "value": round(100 * share, 2)}
        for name, share in shares.items()
        if name in shown
    ]


def _cpu(stages: WhyStages, role: str, cores: float | None) -> CausePanel | None:
    """Return the CPU that the throttled part used; None where that was not measured."""
    name = role_name(role)
    rows: list[Row] = [
        {"series": name, "level": level_of(one.stage), "value": usage.avg}
        for one in stages.stages
        if (usage := one.stage.cpu_cores.get(role))
    ]
    if not rows:
        return None
    return CausePanel("CPU cores", rows, role_colours([role]), cores, frozenset({name}))


def _quota_cores(stages: WhyStages, role: str) -> float | None:
    """Return the cores that all replicas of the throttled part may use; None where that is not known."""
    if role == Role.APP:
        limits, replicas = stages.app_limits, stages.limited.replicas
    else:
        facts = stages.services.get(role)
        limits, replicas = (facts.limits, facts.replicas) if facts else (None, 1)
    return limits.cpus * max(replicas, 1) if limits and limits.cpus else None


def _title(stages: WhyStages, role: str, worst: float, cores: float | None) -> str:
    part = f"the {role}" if role in {Role.APP, Role.PROXY} else role_name(role)
    used = stages.limited.cpu_cores.get(role)
    of = f" of {number_format.cores(cores)}" if cores else ""
    and_used = f"; it used {number_format.cores(used.avg)}{of} cores" if used else ""
    share = number_format.share(worst)
    return f"{stages.place}, the CPU quota of {part} throttled it in {share} of the periods{and_used}"
