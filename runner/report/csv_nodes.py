"""Rows of the CSV table about the machines of a stage on several."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from runner.core.metric import Metric
from runner.core.node_results import NodeResults
from runner.core.results import Results
from runner.core.stage_results import Stage


def has_nodes(results: Results) -> bool:
    """Return whether a stage ran on several machines, so that there are columns and rows about them."""
    return any(stage.nodes for one in results.configurations for stage in one.stages)


def node_cells(node: NodeResults | None) -> dict[str, str | float | None]:
    """Return the cells that only rows about a node have, empty ones in other rows."""
    load = node.load if node else None
    clock = load.clock if load else None
    return {
        "node": node.name if node else "",
        "node_cores": node.cores if node else None,
        "load_share": load.share if load else None,
        "load_workers": load.workers if load else None,
        "load_ceiling_rps": load.ceiling_rps if load else None,
        "clock_offset_s": clock.offset_s if clock else None,
        "clock_error_ms": clock.error_ms if clock else None,
        "clock_drift_ms": clock.drift_ms if clock else None,
        "start_error_ms": load.start_error_ms if load else None,
        "lost": load.lost if load else "",
        "not_offered": load.not_offered if load else None,
    }


def node_row(
    node: NodeResults, stage: Stage, row: dict[str, str | float | None], metrics: Sequence[Metric]
) -> dict[str, str | float | None]:
    """Return the row of a node: the stage's place in the run, and what is known of this node.

    Args:
        node: The node.
        stage: Its stage.
        row: Of the whole stage.
        metrics: Those that have a column.
    """
    own = replace(stage, cpu_cores=node.cpu_cores, memory_mib=node.memory_mib)
    place = ("experiment", "configuration", "stage", "repeat", "request", "engine", "status", "window_s")
    figures = {
        metric.key: metric.read(own)
        for metric in metrics
        if metric.key.startswith(("cpu_cores.", "memory_mib."))
    }
    scheduled = {"scheduled": node.load.scheduled} if node.load else {}
    return dict.fromkeys(row) | {name: row[name] for name in place} | figures | scheduled | node_cells(node)
