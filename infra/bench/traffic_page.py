"""The kinds of traffic as a table, and each promise about them beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.bench.contenders import CLIENTS
from infra.bench.traffic import CHECK, FIXED, HIGH_RATE, MIX, RATE, VALUES

Found = Mapping[str, Any]
CLOSED = f"{CLIENTS} closed users"
OWN = ((MIX.name, 1.10), (VALUES.name, 2.0), (CHECK.name, 3.0))
"""Kind, and CPU per request at most, as a multiple of one fixed request."""
PEERS = ((VALUES.name, 0.35), (CHECK.name, 0.5))
"""Kind, and CPU per request at most, as a multiple of k6's for the same."""


def traffic_promises(found: Found) -> Iterator[tuple[str, str, str, bool]]:
    """Yield figure, measured, wanted, kept."""
    for rate in (RATE, HIGH_RATE):
        yield from _against(found, FIXED.name, rate, "builtin, earlier version", 1.03)
    for name, most in OWN:
        for rate in (RATE, HIGH_RATE):
            ours, base = (_figure(found, kind, "builtin", rate) for kind in (name, FIXED.name))
            if ours and base:
                ratio = ours / base
                measured = f"{ours:.1f} µs, {ratio:.2f} × one fixed request's {base:.1f}"
                yield f"CPU a request, {name}, {rate:,}/s", measured, f"<= {most} × one fixed", ratio <= most
    for name, most in PEERS:
        yield from _against(found, name, RATE, "k6", most)
    yield from _against(found, CLOSED, 0, "wrk", 1.3)
    ours_rps, wrk_rps = (_figure(found, CLOSED, tool, 0, "rps") for tool in ("builtin", "wrk"))
    if ours_rps and wrk_rps:
        measured = f"{ours_rps:,.0f}/s, {ours_rps / wrk_rps:.2f} × wrk's {wrk_rps:,.0f}"
        yield f"throughput, {CLOSED}", measured, ">= 0.85 × wrk", ours_rps >= 0.85 * wrk_rps
    yield _spacing(found["ramp_spacing"])


def _spacing(ramp: Found) -> tuple[str, str, str, bool]:
    """Return the spacing of a ramp beside that of its mean as a constant rate."""
    error_us, constant_us = ramp["ramp_p99_us"], ramp["constant_p99_us"]
    ratio = error_us / constant_us
    constant = f"{constant_us:.0f} µs of {ramp['constant']:,}/s"
    return (
        f"spacing at the receiver, a ramp from {ramp['from']:,}/s to {ramp['to']:,}/s",
        f"p99 {error_us:.0f} µs off the plan, {ratio:.2f} × the {constant}",
        "<= 1.25 × a constant rate",
        ratio <= 1.25,
    )


def _against(
    found: Found, name: str, rate: int, tool: str, most: float
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield our CPU per request beside another tool's, if both were measured."""
    ours, theirs = (_figure(found, name, one, rate) for one in ("builtin", tool))
    if ours and theirs:
        shown = "k6" if tool == "k6" else tool.removeprefix("builtin, ")
        measured = f"{ours:.1f} µs, {ours / theirs:.2f} × {shown}'s {theirs:.1f}"
        at = f", {rate:,}/s" if rate else ""
        yield f"CPU a request, {name}{at}", measured, f"<= {most} × {shown}", ours <= most * theirs


def _figure(found: Found, name: str, tool: str, rate: int, figure: str = "cpu_us") -> float | None:
    key = (name, tool, rate)
    rows = (row[figure] for row in found["rows"] if (row["kind"], row["tool"], row["rate"]) == key)
    return next(rows, None)


def traffic_rows(found: Found) -> list[list[str]]:
    """Return the cells of a table: kind, rate, tool, responses per second, CPU per request."""
    return [
        [
            row["kind"],
            f"{row['rate']:,}/s" if row["rate"] else "full speed",
            row["tool"],
            f"{row['rps']:,.0f}",
            f"{row['cpu_us']:.1f}",
        ]
        for row in sorted(found["rows"], key=lambda row: (row["kind"], row["rate"], row["tool"]))
    ]
