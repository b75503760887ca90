"""The one picture that shows why: chosen by the verdict that the headline is about.

Where another chart of the report shows it already, such as the CPU of each node, that one is the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

from runner.core.codes import Limit
from runner.core.results import Results
from runner.report.charts import WHY
from runner.report.charts.chart import Chart
from runner.report.charts.why_counts import drops, failures, generator, memory
from runner.report.charts.why_cpu import cpu
from runner.report.charts.why_quota import quota
from runner.report.charts.why_ramp import ramp
from runner.report.charts.why_rates import latency, queue
from runner.report.charts.why_signs import disk, used_up
from runner.report.charts.why_stages import WhyStages, why_stages
from runner.report.charts.why_waits import waits
from runner.report.headline import headline

_Draw: TypeAlias = Callable[[WhyStages], Chart | None]
CPU_LIMITS: Final = frozenset(
    {Limit.HOST_CPU, Limit.APP_CPU, Limit.APP_QUOTA, Limit.PROXY_CPU, Limit.FORWARDER, Limit.SERVICE}
)
_DRAW: Final[Mapping[Limit, Sequence[_Draw]]] = {
    Limit.WITHIN_CAPACITY: (latency,),
    Limit.GENERATOR: (generator, queue),
    Limit.HOST_CPU: (cpu,),
    Limit.APP_CPU: (cpu,),
    Limit.APP_QUOTA: (quota, cpu),
    Limit.PROXY_CPU: (quota, cpu),
    Limit.FORWARDER: (cpu,),
    Limit.CONNECTION: (used_up, drops, queue),
    Limit.APP_CONCURRENCY: (waits, queue),
    Limit.ERROR: (failures, queue),
    Limit.MEMORY: (memory, queue),
    Limit.SERVICE: (quota, cpu),
    Limit.POOL: (waits, queue),
    Limit.IO: (disk, queue),
    Limit.UNDETERMINED: (queue,),
}
"""Every limit to what draws its cause; the first that has the numbers does."""
_NO_CAUSE: Final = frozenset({Limit.WITHIN_CAPACITY, Limit.UNDETERMINED})
"""Without a cause, configurations are drawn beside each other, and a ramp with its latency."""


def why(results: Results) -> Chart | None:
    """Return the picture that belongs to the verdict; None where another chart of the report is it."""
    stages = why_stages(results)
    if stages is None or (stages.limit in _NO_CAUSE and (stages.configuration or stages.is_ramp)):
        return None
    of_nodes = bool(stages.limited.nodes) and stages.limit in CPU_LIMITS
    if stages.is_ramp:
        return None if of_nodes else ramp(stages)
    makers = [draw for draw in _DRAW[stages.limit] if not (of_nodes and draw is cpu)]
    return next((drawn for draw in makers if (drawn := draw(stages)) is not None), None)


def picture_of(results: Results, names: Collection[str]) -> str:
    """Return the name of the chart that shows why, among those of a report; empty without any."""
    limited = headline(results).limited
    is_cpu = limited is not None and limited.verdict.code in CPU_LIMITS
    preferred = [WHY, "capacity" if results.scaling else "", "configurations", "capacity"]
    if limited is not None and limited.nodes and is_cpu:
        preferred.insert(1, "cpu-nodes")
    preferred += ["ramps", "cpu" if is_cpu else "over-time", "over-time", "throughput"]
    return next((name for name in preferred if name in names), "")
