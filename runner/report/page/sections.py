"""Which chart and which table stands in which part of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from markupsafe import Markup

from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report import nodes, number_format, programs, tables
from runner.report.capacity import shown
from runner.report.charts.chart import Chart
from runner.report.charts.why import picture_of
from runner.report.markdown_text import Markdown
from runner.report.page.markdown_html import to_html
from runner.report.prose import title
from runner.report.replica_table import replicas
from runner.report.traffic_table import traffic_table

_Table: TypeAlias = Callable[[Sequence[Stage]], Markdown]
_SECTIONS: Final = {
    "stages": ("capacity", "configurations", "throughput", "latency", "ramps", "distribution", "over-time"),
    "scenarios": ("scenarios",),
    "requests": ("requests",),
    "services": ("cpu", "memory", "memory-over-time"),
    "nodes": ("cpu-nodes",),
}
_WIDE: Final = frozenset({"over-time", "memory-over-time", "configurations", "requests", "scenarios"})
"""Charts that take the whole width."""
_SERVICES: Final[Sequence[tuple[str, _Table]]] = (
    ("Average CPU by component (cores)", tables.cpu_by_role),
    ("Average memory by component (MiB)", tables.memory_by_role),
    ("Network and disk", traffic_table),
    ("By replica", replicas),
    ("Programs outside the experiment (cores)", programs.programs_outside),
)
_NODES: Final[Sequence[tuple[str, _Table]]] = (
    ("Average CPU by node (cores)", nodes.cpu_by_node),
    ("Load by node", nodes.load_by_node),
)


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table with its heading, in which its configuration is named where there are several."""

    heading: str
    html: Markup


@dataclass(frozen=True, slots=True)
class ShownCharts:
    """The charts of a page: the picture of the verdict, and the others by section."""

    picture: Chart | None
    by_section: dict[str, list[Chart]]

    @property
    def all(self) -> list[Chart]:
        """Every chart in the order in which they are drawn."""
        others = [chart for charts in self.by_section.values() for chart in charts]
        return [*([self.picture] if self.picture else []), *others]

    def is_wide(self, chart: Chart) -> bool:
        """Return whether a chart takes the whole width: some do, and one that would stand alone in a row."""
        return chart.name in _WIDE or any(_is_alone(chart, charts) for charts in self.by_section.values())


def _is_alone(chart: Chart, charts: Sequence[Chart]) -> bool:
    halves = [one.name for one in charts if one.name not in _WIDE]
    return bool(halves) and len(halves) % 2 == 1 and chart.name == halves[-1]


def placed(results: Results, drawn: Sequence[Chart]) -> ShownCharts:
    """Return the charts in their places; each is shown once."""
    by_name = {chart.name: chart for chart in drawn}
    picture = by_name.pop(picture_of(results, by_name.keys()), None) if by_name else None
    sections = {
        section: [by_name[name] for name in names if name in by_name] for section, names in _SECTIONS.items()
    }
    return ShownCharts(picture, sections)


def service_tables(results: Results) -> list[ShownTable]:
    """Return what each component used, and what went over network and disk."""
    return list(_tables(results, _SERVICES))


def node_tables(results: Results) -> list[ShownTable]:
    """Return what each machine used and offered; empty on one machine."""
    return list(_tables(results, _NODES))


def _tables(results: Results, made: Sequence[tuple[str, _Table]]) -> Iterator[ShownTable]:
    several = len(results.configurations) > 1
    for configuration in map(shown, results.configurations):
        for heading, make in made:
            if text := make(configuration.stages):
                yield ShownTable(_heading(heading, configuration, several=several), to_html(text))


def _heading(heading: str, configuration: ConfigurationResults, *, several: bool) -> str:
    return f"{title(configuration)}: {heading[:1].lower()}{heading[1:]}" if several else heading


def row_count(rows: Sequence[object]) -> str:
    """Return the size of a table: ``32 rows``."""
    return number_format.plural(len(rows), "row")
