"""Connections, network and disk of each stage: what results have of them, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, table
from runner.report.metric_text import no_connects
from runner.report.network_rows import NetworkRow, network_rows
from runner.report.number_format import NOT_APPLICABLE, NOT_MEASURED

_Cell: TypeAlias = Callable[[Stage], str]
_PER_S: Final = (
    ("TCP segments sent again /s", ("tcp.retransmits", ""), 1),
    ("SYN sent again /s", ("tcp.syn_retransmits", ""), 1),
    ("Accept queue overflows /s", ("tcp.listen_overflows", ""), 1),
    ("Read from disk (MiB/s)", ("disk.", ".read_bytes"), 2**20),
    ("Written to disk (MiB/s)", ("disk.", ".written_bytes"), 2**20),
)
"""Heading, beginning and end of the counters, and by what their sum is divided."""
_PEAKS: Final = (("Ports in use (peak)", "ports.in_use"), ("Sockets in TIME_WAIT (peak)", "tcp.time_wait"))


def traffic_table(stages: Sequence[Stage]) -> Markdown:
    """Return connections, ports, retransmissions and bytes, a column for each stage; empty without any.

    Rates of which every stage has 0 are left out.
    """
    rows: list[tuple[str, _Cell]] = [
        ("Connections opened, warm-up included", _opened),
        ("Connections closed by the server", _closed),
        *((heading, _peak(name)) for heading, name in _PEAKS),
        *((f"{row.heading} (MiB/s)", _mebibytes(row)) for row in network_rows(stages)),
        *((heading, _rate(begin, end, unit)) for heading, (begin, end), unit in _PER_S),
    ]
    cells = [[heading, *map(cell, stages)] for heading, cell in rows]
    shown = [row for row in cells if any(cell not in {NOT_MEASURED, NOT_APPLICABLE, "0"} for cell in row[1:])]
    return table(["Network and disk", *(stage.title for stage in stages)], shown) if shown else EMPTY


def _opened(stage: Stage) -> str:
    if stage.connections is None:
        return NOT_MEASURED
    opened = stage.connections.opened
    sent = stage.requests.sent
    if opened and no_connects(stage):
        return f"{opened:,} (all in the warm-up)"
    each = f" (1 for {number_format.rate(sent / opened)} requests)" if opened and sent > opened else ""
    return f"{opened:,}{each}"


def _closed(stage: Stage) -> str:
    return NOT_MEASURED if stage.connections is None else f"{stage.connections.closed_by_server:,}"


def _peak(name: str) -> _Cell:
    def cell(stage: Stage) -> str:
        peaks = [one.peak for one in stage.counters if one.name == name and one.peak is not None]
        return f"{sum(peaks):,.0f}" if peaks else NOT_APPLICABLE

    return cell


def _rate(begin: str, end: str, divisor: int) -> _Cell:
    def cell(stage: Stage) -> str:
        rises = [
            one.delta
            for one in stage.counters
            if one.name.startswith(begin) and one.name.endswith(end) and one.delta is not None
        ]
        return _per_second(stage, sum(rises) if rises else None, divisor)

    return cell


def _mebibytes(row: NetworkRow) -> _Cell:
    return lambda stage: _per_second(stage, row.read(stage), 2**20)


def _per_second(stage: Stage, amount: float | None, divisor: int) -> str:
    if amount is None or not stage.window_s:
        return NOT_APPLICABLE
    value = amount / stage.window_s / divisor
    return "0" if not value else "< 0.1" if value < 0.05 else number_format.rate(value)
