"""A search for the highest rate, as people read it: rate against p95, the knee, the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.report import number_format
from runner.report.markdown_text import code, escape, table

Configuration = Mapping[str, Any]
Search = Mapping[str, Any]

_WIDTH: Final = 16
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def shown(configuration: Configuration) -> Configuration:
    """A configuration with only those probes among its stages that a search's answer rests on.

    A search that has no answer yet is shown by its last probe.
    """
    if not configuration.get("capacity"):
        return configuration
    last = {search["probes"][-1]["order"] for search in configuration["capacity"] if search["probes"]}
    probes = [stage for stage in configuration["stages"] if "find" in stage]
    deciding = {stage["order"] for stage in probes if stage["find"]["decides"]} or last
    kept = sorted(
        (stage for stage in probes if stage["order"] in deciding),
        key=lambda stage: float(stage["target_rps"]),
    )
    others = [stage for stage in configuration["stages"] if "find" not in stage]
    return {**configuration, "stages": [*others, *kept]}


def searches(configuration: Configuration) -> list[dict[str, str]]:
    """Heading, answer, table and method of every search that was begun."""
    found = [each for each in configuration.get("capacity", ()) if each["probes"]]
    return [
        {
            "heading": f"Capacity: {escape(each['stage'])}{_repeat(each)}",
            "sentence": escape(each["sentence"]),
            "table": _table(each),
            "method": _method(each),
        }
        for each in found
    ]


def _repeat(search: Search) -> str:
    return f" (repeat {search['repeat']})" if search["repeat"] > 1 else ""


def _table(search: Search) -> str:
    """By rate, with a bar as long as the p95; the probes' own order is beside it."""
    latency = search["latency"].replace("_", " ")
    probes = sorted(search["probes"], key=lambda probe: float(probe["rps"]))
    highest = max((probe["p95_ms"] or 0.0 for probe in probes), default=0.0)
    first = min(probe["order"] for probe in probes)
    rows = [
        [
            _rate(search, probe),
            str(probe["order"] - first + 1),
            number_format.ms(probe["p95_ms"]),
            bar(probe["p95_ms"], highest),
            number_format.share(probe["achieved"]),
            _verdict(probe),
        ]
        for probe in probes
    ]
    head = [
        "Rate (RPS)",
        "Probe",
        f"p95 {latency} (ms)",
        f"p95, to {number_format.ms(highest)} ms",
        "Achieved",
        "Holds",
    ]
    return table(head, rows, words=(3, 5))


def _rate(search: Search, probe: Mapping[str, Any]) -> str:
    rate = number_format.rate(probe["rps"])
    rate = f"**{rate}**" if probe["rps"] == search["rps"] else rate
    return f"{rate} (knee)" if probe["rps"] == search["knee"]["rps"] else rate


def _verdict(probe: Mapping[str, Any]) -> str:
    if probe["ok"]:
        return "yes"
    return f"{'undecided' if probe['ok'] is None else '**no**'}: {escape(probe['why'])}"


def bar(value: float | None, highest: float) -> str:
    """A bar of up to `_WIDTH` characters, to an eighth of one; what is not 0 is never empty."""
    if not value or not highest:
        return ""
    eighths = max(1, round(value / highest * _WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _method(search: Search) -> str:
    asked = number_format.listed([code(each) for each in search["holds"]])
    low, high = number_format.rate(search["min_rps"]), number_format.rate(search["max_rps"])
    return (
        f"A rate holds when {asked}. From {low} to {high} RPS, the rate is doubled until one fails, then "
        f"bisected until the lowest that failed is at most {number_format.share(search['precision'])} above the "
        "highest that held. Each probe is one trial, so the answer is as repeatable as a trial is. "
        f"The knee is found by {escape(search['knee']['method'])}."
    )
