"""Headings and values of metrics, and the glossary, generated from the registry of metrics."""

from __future__ import annotations

from typing import Final

from runner.core.metrics import KEY_METRICS, LATENCIES, METRICS, Dimension, Metric
from runner.report.number_format import FORMATS, NOT_MEASURED

_HEADING_UNITS: Final = {Dimension.TIME: " (ms)", Dimension.CORES: " (cores)", Dimension.SIZE: " (MiB)"}
_VALUE_UNITS: Final = {
    Dimension.TIME: " ms",
    Dimension.CORES: " cores",
    Dimension.SIZE: " MiB",
    Dimension.RATE: " RPS",
}


def heading(metric: Metric) -> str:
    """Return the title of a metric with the unit that its values are written without."""
    return f"{metric.title}{_HEADING_UNITS.get(metric.dimension, '')}"


def figure(metric: Metric, value: float | None) -> str:
    """Return a value as it stands below `heading`."""
    return FORMATS[metric.dimension](value)


def with_unit(metric: Metric, value: float | None) -> str:
    """Return a value as it stands alone."""
    if value is None:
        return NOT_MEASURED
    return f"{figure(metric, value)}{_VALUE_UNITS.get(metric.dimension, '')}"


def key_heading(name: str) -> str:
    """Return the heading of a metric of repeats, comparisons and histories; an unknown name is its own."""
    metric = KEY_METRICS.get(name)
    return heading(metric) if metric else name


def key_figure(name: str, value: float | None) -> str:
    """Return a value of such a metric."""
    metric = KEY_METRICS.get(name)
    return figure(metric, value) if metric else plain(value)


def key_is_share(name: str) -> bool:
    """Return whether such a metric is a share, so that its changes are percentage points."""
    metric = KEY_METRICS.get(name)
    return metric is not None and metric.dimension is Dimension.SHARE


def latency_title(name: str) -> str:
    """Return the title of a latency by its name; an unknown name is its own."""
    return next((kind.title for kind in LATENCIES if kind.name == name), name.replace("_", " "))


def glossary() -> dict[str, str]:
    """Return the definition of every term that metrics are explained by."""
    return {metric.term: metric.definition for metric in METRICS.values()}


def plain(value: float | None) -> str:
    """Return a number of an unknown dimension."""
    return NOT_MEASURED if value is None else f"{value:,g}"
