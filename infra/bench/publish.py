"""The comparison as a page for people: tables, a chart, and each promise beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from infra.bench.traffic_page import traffic_promises, traffic_rows

Found = Mapping[str, Any]
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#CC79A7", "#999999", "#F0E442")


def cost_of(found: Found, tool: str, rate: int, connection: str) -> float | None:
    return next(
        (
            row["cpu_us"]
            for row in found["cost"]
            if (row["tool"], row["rate"], row["connection"]) == (tool, rate, connection)
        ),
        None,
    )


def promises(found: Found) -> Iterator[tuple[str, str, str, bool]]:
    """Figure, measured, wanted, kept."""
    for tool, rate, connection, most in (
        ("builtin", 10_000, "keep-alive", 0.25),
        ("builtin, quantum 1ms", 10_000, "keep-alive", 0.12),
        ("builtin", 4000, "new", 0.45),
    ):
        ours, peer = (cost_of(found, name, rate, connection) for name in (tool, "k6"))
        if ours is not None and peer is not None:
            yield (
                f"CPU a request, {tool}, {rate:,}/s {connection}",
                f"{ours:.1f} µs, {ours / peer:.3f} × k6's {peer:.0f}",
                f"<= {most} × k6",
                ours / peer <= most,
            )
    yield from _duration(found)
    for connection, least in (("keep-alive", 40_000), ("new", 15_000)):
        for row in found["held"]:
            if (row["tool"], row["connection"]) == ("builtin", connection):
                yield (
                    f"highest rate held by one instance, {connection}",
                    f"{row['rps']:,}/s",
                    f">= {least:,}/s",
                    row["rps"] >= least,
                )
    yield from _truth(found)
    for row in found["spacing"]:
        if row["tool"] == "builtin":
            error = row["median_gap_us"] / row["planned_gap_us"] - 1
            yield (
                f"spacing at the receiver, {row['rate']:,}/s",
                f"median {error:+.2%}, p99 {row['error_p99_us']:.0f} µs off the plan",
                "0.5 %, 200 µs",
                abs(error) <= 0.005 and row["error_p99_us"] <= 200,
            )
    most = max(found["memory_mib"].values())
    yield "memory of a worker at any length and rate", f"at most {most:.0f} MiB", "<= 40 MiB", most <= 40
    rows = found["rows_memory"]
    yield (
        f"memory of a worker that takes {rows['rows']:,} rows from a file of {rows['file_mib']:,} MiB",
        f"{rows['mib']:.0f} MiB, with {rows['pages_mib']:.0f} MiB of pages that workers share",
        "<= 64 MiB + shared pages",
        rows["mib"] <= 64 + rows["pages_mib"],
    )
    yield from traffic_promises(found["traffic"])


def _duration(found: Found) -> Iterator[tuple[str, str, str, bool]]:
    for row in found["cost"]:
        if (row["tool"], row["rate"], row["connection"]) == ("builtin", 10_000, "keep-alive"):
            us = [row["says_ms"][name] * 1e3 for name in ("p50", "p95", "p99")]
            good = all(value <= most for value, most in zip(us, (60, 100, 200), strict=True))
            shown = ", ".join(f"{value:.0f}" for value in us)
            yield "duration p50, p95, p99 at 10,000/s", f"{shown} µs", "<= 60, 100, 200 µs", good


def _truth(found: Found) -> Iterator[tuple[str, str, str, bool]]:
    for row in found["truth"]:
        if row["tool"] != "builtin":
            continue
        pairs = [(row["says_ms"][name], real) for name, real in row["truth_ms"].items()]
        shown = ", ".join(f"{name} {_off(row, name)}" for name in row["truth_ms"])
        if row["server"] == "mixture":
            good = all(abs(said - real) <= max(0.02 * real, 0.2) for said, real in pairs)
            yield "error on a mixture of delays", shown, "max(2 %, 0.2 ms)", good
        else:
            good = all(abs(said / real - 1) <= 0.03 for said, real in pairs)
            yield "error on a server that freezes", shown, "3 %", good


def _off(row: Found, name: str) -> str:
    said, real = row["says_ms"][name], row["truth_ms"][name]
    return f"{said - real:+.2f} ms ({said / real - 1:+.1%})"


def page(found: Found) -> str:
    """The whole of reports/benchmarks/README.md."""
    parts = [
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
        *(_cost(found, connection) for connection in ("keep-alive", "new")),
        "## Kinds of traffic",
        (
            f"Medians of {found['traffic']['rounds']} interleaved rounds. k6 runs a script that does the same. Closed users send their next "
            "request as soon as they have received a response, as wrk does."
        ),
        _table(
            ["traffic", "rate", "tool", "answers/s", "CPU a request (µs)"], traffic_rows(found["traffic"])
        ),
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
        "## Truth",
        (
            "A server with known behaviour: a mixture of 1, 10 and 50 ms (the truth is what the server itself took, from the "
            "kernel's receive stamp to the answer), and one that stands still for 500 ms in every 5 s (of an open loop's "
            "requests 5 % wait about 250 ms or more, 1 % 450 ms; the truth is again what the server took). Ours is `duration` for the first and `response_time` for the second."
        ),
        _table(
            ["server", "tool", "percentile", "truth (ms)", "says (ms)", "error"], list(_truth_rows(found))
        ),
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
    return "\n\n".join(parts) + "\n"


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
                _off(row, name),
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
