"""Numbers of the verdict's evidence over all levels, each beside its bound: the disk, and what ran out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from runner.analyze.rules.connections import levels_of_resources
from runner.analyze.rules.disk import disk_signs
from runner.analyze.rules.service_statistics import levels_of_services
from runner.core.findings import Evidence
from runner.core.stage_results import Stage
from runner.core.units import BYTES_PER_MIB
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.why_panels import CausePanel, stacked_panels
from runner.report.charts.why_stages import WhyStages, level_of

_Signs: TypeAlias = Callable[[Stage], Iterable[Evidence]]
_BYTES: Final = "bytes/s"
_MIB: Final = "MiB/s"


def disk(stages: WhyStages) -> Chart | None:
    """Return how long parts waited for I/O and how busy the device was, or the limit of I/O in use."""
    return _chart(stages, disk_signs, "Waits for the disk and its use")


def used_up(stages: WhyStages) -> Chart | None:
    """Return connections, files or ports in use against what there is; None where they are not the cause."""
    return _chart(stages, levels_of_resources, "What was in use")


def service_connections(stages: WhyStages) -> CausePanel | None:
    """Return a service's connections against its own limit; None where they are no evidence."""
    return next(iter(_panels(stages, levels_of_services)), None)


def _chart(stages: WhyStages, signs: _Signs, words: str) -> Chart | None:
    panels = list(_panels(stages, signs))
    if not panels:
        return None
    against = " against the rate" if stages.has_several_levels else ""
    dashed = "; dashed: the bound of the verdict" if any(panel.bound for panel in panels) else ""
    return Chart("why", stages.statement(), f"{words}{against}{dashed}", stacked_panels(stages, panels))


def _panels(stages: WhyStages, signs: _Signs) -> Iterator[CausePanel]:
    """Yield a panel for each unit and bound of the evidence that other stages have as well."""
    known = {item.name: item for item in signs(stages.limited)}
    evidence = [item for item in stages.evidence if item.name in known]
    groups: dict[tuple[str, float | None], list[Evidence]] = {}
    for item in evidence:
        groups.setdefault((item.unit, item.threshold), []).append(item)
    for (unit, threshold), items in groups.items():
        names = [item.name for item in items]
        rows = [row for one in stages.stages for row in _rows(one.stage, signs, set(names))]
        colours = chart.series_colours(names)
        yield CausePanel(_axis(unit), rows, colours, _scaled(unit, threshold), frozenset(names))


def _rows(stage: Stage, signs: _Signs, names: set[str]) -> Iterator[Row]:
    for item in signs(stage):
        if item.name in names:
            value = _scaled(item.unit, item.value)
            yield {"series": item.name, "level": level_of(stage), "value": round(value or 0.0, 3)}


def _scaled(unit: str, value: float | None) -> float | None:
    return value / BYTES_PER_MIB if value is not None and unit == _BYTES else value


def _axis(unit: str) -> str:
    unit = _MIB if unit == _BYTES else unit
    return {"%": "% of the time"}.get(unit, unit[:1].upper() + unit[1:])
