"""The one picture that shows why: chosen by the verdict that the headline is about.

Where another chart of the report shows it already, such as the CPU of each node, that one is the picture.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from runner.core.codes import Limit
from runner.core.results import Results
from runner.report.charts.chart import Chart
from runner.report.charts.why_counts import drops, failures, memory
from runner.report.charts.why_cpu import cpu
from runner.report.charts.why_rates import latency, queue
from runner.report.charts.why_stages import WhyStages, why_stages
from runner.report.headline import headline

WHY: Final = "why"
CPU_LIMITS: Final = frozenset(
    {Limit.HOST_CPU, Limit.APP_CPU, Limit.APP_QUOTA, Limit.PROXY_CPU, Limit.FORWARDER, Limit.SERVICE}
)
_DRAW: Final = {
    Limit.CONNECTION: drops,
    Limit.ERROR: failures,
    Limit.MEMORY: memory,
    Limit.WITHIN_CAPACITY: latency,
    **dict.fromkeys(CPU_LIMITS, cpu),
}


def why(results: Results) -> Chart | None:
    """Return the picture that belongs to the verdict; None where another chart of the report is it."""
    if len(results.configurations) > 1:
        return None
    stages = why_stages(results)
    if stages is None or _of_nodes(stages) or stages.limited.level_ramp is not None:
        return None
    drawn = _DRAW.get(stages.limit, queue)(stages)
    return drawn if drawn or stages.limit in {Limit.WITHIN_CAPACITY, *CPU_LIMITS} else queue(stages)


def _of_nodes(stages: WhyStages) -> bool:
    return bool(stages.limited.nodes) and stages.limit in CPU_LIMITS


def picture_of(results: Results, names: Collection[str]) -> str:
    """Return the name of the chart that shows why, among those of a report; empty without any."""
    limited = headline(results).limited
    is_cpu = limited is not None and limited.verdict.code in CPU_LIMITS
    preferred = [WHY, "capacity" if results.scaling else "", "configurations", "capacity"]
    if limited is not None and limited.nodes and is_cpu:
        preferred.insert(0, "cpu-nodes")
    preferred += ["ramps", "cpu" if is_cpu else "over-time", "over-time", "throughput"]
    return next((name for name in preferred if name in names), "")
