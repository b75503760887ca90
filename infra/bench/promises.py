"""What the built-in generator promises, each beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.bench.traffic_page import traffic_promises

Found = Mapping[str, Any]
Promise: TypeAlias = tuple[str, str, str, bool]
"""Figure, measured, wanted, kept."""


def cost_of(found: Found, tool: str, rate: int, connection: str) -> float | None:
    return next(
        (
            row["cpu_us"]
            for row in found["cost"]
            if (row["tool"], row["rate"], row["connection"]) == (tool, rate, connection)
        ),
        None,
    )


def promises(found: Found) -> Iterator[Promise]:
    """Yield each promise about the built-in generator that was measured."""
    yield from _against_k6(found)
    yield from _duration(found)
    yield from _held(found)
    yield from _truth(found)
    yield from _spacing(found)
    yield from _memory(found)
    yield from traffic_promises(found["traffic"])


def _against_k6(found: Found) -> Iterator[Promise]:
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


def _duration(found: Found) -> Iterator[Promise]:
    for row in found["cost"]:
        if (row["tool"], row["rate"], row["connection"]) == ("builtin", 10_000, "keep-alive"):
            us = [row["says_ms"][name] * 1e3 for name in ("p50", "p95", "p99")]
            good = all(value <= most for value, most in zip(us, (60, 100, 200), strict=True))
            shown = ", ".join(f"{value:.0f}" for value in us)
            yield "duration p50, p95, p99 at 10,000/s", f"{shown} µs", "<= 60, 100, 200 µs", good


def _held(found: Found) -> Iterator[Promise]:
    for connection, least in (("keep-alive", 40_000), ("new", 15_000)):
        for row in found["held"]:
            if (row["tool"], row["connection"]) == ("builtin", connection):
                yield (
                    f"highest rate held by one instance, {connection}",
                    f"{row['rps']:,}/s",
                    f">= {least:,}/s",
                    row["rps"] >= least,
                )


def _truth(found: Found) -> Iterator[Promise]:
    for row in found["truth"]:
        if row["tool"] != "builtin":
            continue
        pairs = [(row["says_ms"][name], real) for name, real in row["truth_ms"].items()]
        shown = ", ".join(f"{name} {error_of(row, name)}" for name in row["truth_ms"])
        if row["server"] == "mixture":
            good = all(abs(said - real) <= max(0.02 * real, 0.2) for said, real in pairs)
            yield "error on a mixture of delays", shown, "max(2 %, 0.2 ms)", good
        else:
            good = all(abs(said / real - 1) <= 0.03 for said, real in pairs)
            yield "error on a server that freezes", shown, "3 %", good


def _spacing(found: Found) -> Iterator[Promise]:
    for row in found["spacing"]:
        if row["tool"] == "builtin":
            error = row["median_gap_us"] / row["planned_gap_us"] - 1
            yield (
                f"spacing at the receiver, {row['rate']:,}/s",
                f"median {error:+.2%}, p99 {row['error_p99_us']:.0f} µs off the plan",
                "0.5 %, 200 µs",
                abs(error) <= 0.005 and row["error_p99_us"] <= 200,
            )


def _memory(found: Found) -> Iterator[Promise]:
    most = max(found["memory_mib"].values())
    yield "memory of a worker at any length and rate", f"at most {most:.0f} MiB", "<= 40 MiB", most <= 40
    rows = found["rows_memory"]
    yield (
        f"memory of a worker that takes {rows['rows']:,} rows from a file of {rows['file_mib']:,} MiB",
        f"{rows['mib']:.0f} MiB, with {rows['pages_mib']:.0f} MiB of pages that workers share",
        "<= 64 MiB + shared pages",
        rows["mib"] <= 64 + rows["pages_mib"],
    )


def error_of(row: Found, name: str) -> str:
    said, real = row["says_ms"][name], row["truth_ms"][name]
    return f"{said - real:+.2f} ms ({said / real - 1:+.1%})"
