"""Memory of each stage by role."""

from __future__ import annotations

from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart
from runner.report.charts.cpu import role_colours
from runner.report.charts.measured import Panels, measured_stages, several_configurations
from runner.report.charts.why_counts import memory_rows


def memory_by_role(results: Results) -> Chart | None:
    """Return the peak memory of each role, stacked; None where none was measured."""
    stages = [measured for measured in measured_stages(results, medians=True) if memory_rows(measured)]
    rows = [row for measured in stages for row in memory_rows(measured)]
    if not rows:
        return None
    panels = Panels.of(stages)
    colours = role_colours(str(row["series"]) for row in rows)
    bars = {
        "params": [chart.legend_filter()],
        "mark": {"type": "bar", "width": panels.bar_width},
        "encoding": {
            "opacity": chart.FADING,
            "x": panels.stage_axis(),
            "y": chart.quantitative("mib", "Memory (MiB)") | {"stack": True},
            "color": chart.colour_scale(colours),
            "tooltip": chart.tooltip("panel", "stage", "series", "mib"),
        },
    }
    largest = max(rows, key=lambda row: float(row["mib"] or 0))
    where = next(
        one for one in stages if one.label == largest["stage"] and one.configuration == largest["panel"]
    )
    mib = number_format.micros(float(largest["mib"] or 0))
    at = where.place(several=several_configurations(stages))
    title = f"Most memory: {largest['series']}, {mib} MiB at {at}"
    spec = panels.arrange(rows, {"layer": [bars]})
    return Chart("memory", title, "Peak resident memory by role", spec)
