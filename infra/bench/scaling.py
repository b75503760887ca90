"""What 10, 100 and 1,000 generator nodes need, computed from figures that are measured now.

    python -m infra.bench.scaling    writes the table of docs/scaling.md

Merging is measured by `infra.bench.merge`; CPU a request and memory of a worker are those of the last
`make bench` in reports/benchmarks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.bench.merge import MergeCost, merge_cost
from runner.core.units import BYTES_PER_MIB

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"
BENCHMARKS = ROOT / "reports" / "benchmarks" / "results.json"
BEGIN, END = "<!-- begin: python -m infra.bench.scaling -->\n", "<!-- end -->\n"
NODES = (10, 100, 1000)
RATES = (1000, 10_000)
"""Requests a second of each node."""


def tables(costs: Sequence[MergeCost], benchmarks: Any) -> str:
    """Return the figures as Markdown: a table for each rate."""
    parts = [_table([cost for cost in costs if cost.rate == rate], benchmarks) for rate in RATES]
    exact = "equal" if all(cost.exact for cost in costs) else "NOT equal"
    parts.append(
        f"The merged counts are {exact} to those of one histogram of all values. "
        f"Measured on {benchmarks['machine']}."
    )
    return "\n\n".join(parts) + "\n"


def _table(costs: Sequence[MergeCost], benchmarks: Any) -> str:
    rate = costs[0].rate
    cpu_us = {
        row["connection"]: row["cpu_us"]
        for row in benchmarks["cost"]
        if (row["tool"], row["rate"]) == ("builtin", rate)
    }
    rows = [
        (f"nodes with one worker and {rate:,} requests/s each", *(f"{cost.nodes:,}" for cost in costs)),
        ("---", *("---:" for _ in costs)),
        ("requests/s", *(f"{cost.nodes * rate:,}" for cost in costs)),
        ("lines/s", *(f"{cost.nodes:,}" for cost in costs)),
        ("a line, kB", *(f"{cost.line_bytes / 1e3:.1f}" for cost in costs)),
        (
            "traffic at the hub, each way, MB/s",
            *(f"{cost.nodes * cost.line_bytes / 1e6:.2f}" for cost in costs),
        ),
        ("runner: CPU to read and merge, cores", *(f"{cost.cores:.3f}" for cost in costs)),
        ("runner: memory for a second, MiB", *(f"{cost.peak_bytes / BYTES_PER_MIB:.1f}" for cost in costs)),
        ("hub: CPU to pass lines on, without sockets, cores", *(f"{cost.hub_cores:.3f}" for cost in costs)),
        *(
            (
                f"each node: CPU of its worker, {connection} connections, cores",
                *(_cores(us, rate) for _ in costs),
            )
            for connection, us in cpu_us.items()
        ),
        ("each node: memory of its worker, MiB", *(f"{_worker_mib(benchmarks):.0f}" for _ in costs)),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _megabytes(cost: MergeCost) -> float:
    return cost.nodes * cost.line_bytes / 1e6


def _cores(cpu_us: float, rate: int) -> str:
    """Return CPU of a worker; a rate that one core cannot make needs several workers."""
    return f"{cpu_us * rate / 1e6:.2f}"


def _worker_mib(benchmarks: Any) -> float:
    return max(benchmarks["memory_mib"].values())


def main() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    costs = [merge_cost(nodes, rate) for rate in RATES for nodes in NODES]
    found = tables(costs, json.loads(BENCHMARKS.read_text()))
    PAGE.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}")
    print(found)


if __name__ == "__main__":
    main()
