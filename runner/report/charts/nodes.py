"""CPU of each machine of an experiment on several, as a share of its own cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runner.core.codes import Role
from runner.core.results import Results
from runner.report.charts import chart
from runner.report.charts.chart import Chart
from runner.report.charts.measured import MeasuredStage, Panels, measured_stages, several_configurations

_MOST_NODES: Final = 10
_SAME_SHARE: Final = 0.005
"""Difference up to which two shares are the same figure."""


class _Use(NamedTuple):
    """What a node used in a stage."""

    share: float
    node: str
    cores: float
    of: int
    measured: MeasuredStage


def cpu_by_node(results: Results) -> Chart | None:
    """Return the share of its cores that each node used in each stage; None on one machine."""
    uses = [use for measured in measured_stages(results) for use in _uses(measured)]
    if not uses:
        return None
    busiest = dict.fromkeys(use.node for use in sorted(uses, key=lambda use: -use.share))
    names = sorted(list(busiest)[:_MOST_NODES])
    shown = [use for use in uses if use.node in names]
    stages = list({id(use.measured.stage): use.measured for use in shown}.values())
    panels = Panels.of(stages)
    bars = {
        "params": [chart.legend_filter()],
        "mark": {"type": "bar"},
        "encoding": {
            "opacity": chart.FADING,
            "x": panels.stage_axis(),
            "xOffset": {"field": "series", "sort": names},
            "y": chart.quantitative("share", "% of the node's cores") | {"scale": {"domain": [0, 100]}},
            "color": chart.colour_scale(chart.series_colours(names)),
            "tooltip": chart.tooltip("panel", "stage", "series", "share", "cores"),
        },
    }
    rows = [
        use.measured.row(series=use.node, share=round(use.share * 100, 2), cores=use.cores) for use in shown
    ]
    more = len(busiest) - len(names)
    left_out = f"; the {_MOST_NODES} busiest of {len(busiest)} nodes" if more else ""
    subtitle = f"Average CPU of each node, in % of its own cores{left_out}"
    return Chart("cpu-nodes", _title(shown, stages), subtitle, panels.arrange(rows, {"layer": [bars]}))


def _uses(measured: MeasuredStage) -> list[_Use]:
    return [
        _Use(usage.avg / node.cores, node.name, usage.avg, node.cores, measured)
        for node in measured.stage.nodes
        if node.cores and (usage := node.cpu_cores.get(Role.SYSTEM))
    ]


def _title(uses: Sequence[_Use], stages: Sequence[MeasuredStage]) -> str:
    """Name the busiest node, and the one that used least in the same stage."""
    first = max(uses, key=lambda use: use.share)
    least = min((use for use in uses if use.measured is first.measured), key=lambda use: use.share)
    where = first.measured.place(several=several_configurations(stages))
    if least.node != first.node and first.of == least.of and first.share - least.share < _SAME_SHARE:
        count = sum(use.measured is first.measured for use in uses)
        return f"At {where}, each of {count} nodes used {first.cores:.2f} of its {first.of} cores"
    sentence = f"At {where}, {first.node} used {first.cores:.2f} of its {first.of} cores"
    return sentence if least is first else f"{sentence}, and {least.node} {least.cores:.2f} of {least.of}"
