"""The comparison as a page for people: tables, a chart, and each promise beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from infra.bench.promises import Found, cost_of, error_of, promises
from infra.bench.traffic_page import traffic_rows

COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#CC79A7", "#999999", "#F0E442")


def page(found: Found) -> str:
    """Return the whole of reports/benchmarks/README.md."""
    parts = [
        *_beginning(found),
        *(_cost(found, connection) for connection in ("keep-alive", "new")),
        *_traffic(found),
        *_highest_rates(found),
        *_truth_of_all(found),
        *_spacing_and_memory(found),
    ]
    return "\n\n".join(parts) + "\n"


def _beginning(found: Found) -> list[str]:
    return [
        "# What the instrument is worth",
        (
            f"Measured by `make bench` on {found['machine']}, in {found['rounds']} interleaved rounds; "
            "figures are medians. Every tool ran as a process of its own against the same nginx (one worker, 20 bytes); "
            "CPU is that of its whole process tree in a window in the middle, by the kernel's nanosecond clocks, "
            "divided by the requests that nginx counted in the same window. Machines differ: the ratios are what carries over."
        ),
        "## Promises",
        _table(
            ["figure", "measured", "wanted", ""],
            [[*row[:3], "✓" if row[3] else "✗"] for row in promises(found)],
        ),
        "![CPU a request by tool and rate](cpu.svg)",
    ]


def _traffic(found: Found) -> list[str]:
    return [
        "## Kinds of traffic",
        (
            f"Medians of {found['traffic']['rounds']} interleaved rounds. k6 runs a script that does the same. Closed users send their next "
            "request as soon as they have received a response, as wrk does."
        ),
        _table(
            ["traffic", "rate", "tool", "answers/s", "CPU a request (µs)"], traffic_rows(found["traffic"])
        ),
    ]


def _highest_rates(found: Found) -> list[str]:
    return [
        "## Highest rates",
        "Nothing holds the tools back here: closed loops with 50 connections, ours with more arrivals due than it can send.",
        _table(
            ["tool", "connections", "answers/s", "CPU a request (µs)"],
            [
                [row["tool"], row["connection"], f"{row['rps']:,.0f}", f"{row['cpu_us']:.1f}"]
                for row in found["full_speed"]
            ],
        ),
        "The highest rate that open-loop tools hold (99.5 % answered; a rate that is the last one tried is a lower bound):",
        _table(
            ["tool", "connections", "held", "tried up to"],
            [
                [row["tool"], row["connection"], f"{row['rps']:,}/s", f"{row['tried']:,}/s"]
                for row in found["held"]
            ],
        ),
        _workers(found),
    ]


def _truth_of_all(found: Found) -> list[str]:
    return [
        "## Truth",
        (
            "A server with known behaviour: a mixture of 1, 10 and 50 ms (the truth is what the server itself took, from the "
            "kernel's receive stamp to the answer), and one that stands still for 500 ms in every 5 s (of an open loop's "
            "requests 5 % wait about 250 ms or more, 1 % 450 ms; the truth is again what the server took). Ours is `duration` for the first and `response_time` for the second."
        ),
        _table(
            ["server", "tool", "percentile", "truth (ms)", "says (ms)", "error"], list(_truth_rows(found))
        ),
    ]


def _spacing_and_memory(found: Found) -> list[str]:
    return [
        "## Spacing at the receiver",
        _table(
            ["rate", "tool", "gap planned (µs)", "median gap seen (µs)", "p99 of the error (µs)"],
            [
                [
                    f"{row['rate']:,}/s",
                    row["tool"],
                    f"{row['planned_gap_us']:.0f}",
                    f"{row['median_gap_us']:.1f}",
                    f"{row['error_p99_us']:.0f}",
                ]
                for row in found["spacing"]
            ],
        ),
        "Memory of a worker: "
        + ", ".join(f"{mib:.0f} MiB ({what})" for what, mib in found["memory_mib"].items())
        + ".",
    ]


def _cost(found: Found, connection: str) -> str:
    rows = [row for row in found["cost"] if row["connection"] == connection]
    shown = []
    for row in rows:
        peer = cost_of(found, "k6", row["rate"], connection)
        says = row["says_ms"]
        shown.append(
            [
                f"{row['rate']:,}/s",
                row["tool"],
                f"{row['rps']:,.0f}",
                f"{row['cpu_us']:.1f}",
                f"{row['cpu_us'] / peer:.2f}" if peer else "–",
                *(f"{says[name]:.3f}" if name in says else "–" for name in ("p50", "p95", "p99")),
            ]
        )
    heading = "Kept connections" if connection == "keep-alive" else "A new connection for each request"
    head = ["rate", "tool", "answers/s", "CPU a request (µs)", "× k6", "p50 (ms)", "p95 (ms)", "p99 (ms)"]
    missing = (
        "" if connection == "keep-alive" else " h2load keeps its connections, so it is not in this table."
    )
    note = (
        f"Percentiles are what each tool says itself. wrk knows no rate and is below at full speed.{missing}"
    )
    return f"## {heading}\n\n{note}\n\n{_table(head, shown)}"


def _workers(found: Found) -> str:
    one, two = found["workers"]["1"], found["workers"]["2"]
    cores = found["cores"]
    room = (
        ""
        if cores >= 4
        else f" With {cores} cores the server and both workers share them: there is no room to scale."
    )
    return f"One worker reached {one:,.0f}/s, two {two:,.0f}/s ({two / one:.2f} ×).{room}"


def _truth_rows(found: Found) -> Iterator[list[str]]:
    for row in found["truth"]:
        for name, real in row["truth_ms"].items():
            yield [
                row["server"],
                row["tool"],
                name,
                f"{real:.2f}",
                f"{row['says_ms'][name]:.2f}",
                error_of(row, name),
            ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def chart(found: Found) -> str:
    """CPU a request by tool, one group a rate, as SVG."""
    groups = [(rate, c) for c in ("keep-alive", "new") for rate in sorted({r["rate"] for r in found["cost"]})]
    tools = list(dict.fromkeys(row["tool"] for row in found["cost"]))
    most = max(row["cpu_us"] for row in found["cost"])
    height, width, bar = 300, 900, 900 / (len(groups) * (len(tools) + 1.5))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 40} {height + 110}" '
            'font-family="sans-serif" font-size="11">'
        ),
        f'<rect width="{width + 40}" height="{height + 110}" fill="#ffffff"/>',
        '<text x="20" y="20" font-size="14" font-weight="bold">CPU a request (µs), lower is better</text>',
    ]
    for g, (rate, connection) in enumerate(groups):
        left = 20 + g * bar * (len(tools) + 1.5)
        for t, tool in enumerate(tools):
            cost = cost_of(found, tool, rate, connection)
            if cost is None:
                continue
            tall, x = cost / most * (height - 60), left + t * bar
            parts.append(
                f'<rect x="{x:.1f}" y="{height - tall:.1f}" width="{bar * 0.9:.1f}" height="{tall:.1f}" '
                f'fill="{COLOURS[t % len(COLOURS)]}"><title>{escape(tool)}: {cost:.1f} µs</title></rect>'
                f'<text x="{x + bar * 0.45:.1f}" y="{height - tall - 3:.1f}" font-size="8" text-anchor="middle">'
                f"{cost:.0f}</text>"
            )
        parts.append(f'<text x="{left:.1f}" y="{height + 16}">{rate:,}/s {connection}</text>')
    for t, tool in enumerate(tools):
        x, y = 20 + (t % 4) * 220, height + 45 + (t // 4) * 20
        parts.append(
            f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[t % len(COLOURS)]}"/>'
            f'<text x="{x + 15}" y="{y}">{escape(tool)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
