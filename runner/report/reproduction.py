"""What came of running an archive again, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report import number_format
from runner.report.comparison import differing, signed_change, stage_sections
from runner.report.headlines import TITLES
from runner.report.markdown_text import code, escape, table

Reproduction = Mapping[str, Any]


def render_reproduction(found: Reproduction) -> str:
    """The whole of it as Markdown."""
    comparison = found["comparison"]
    parts = [
        f"# Run again: {found['verdict']}",
        *_machines(found),
        f"> {escape(reproduced(found))}",
        f"Archive: {_run(found['then'])}, SHA-256 {code(found['archive'])}  \nNow: {_run(found['now'])}",
        *(
            differing(found["differs"], "Archive", "Now")
            if found["differs"]
            else ["Host, versions, images and build folders are the same."]
        ),
        *_searches(found),
        *_limits(found),
        *(stage_sections(comparison) if comparison else _not_compared(found)),
    ]
    return "\n\n".join(parts) + "\n"


def reproduced(found: Reproduction) -> str:
    """The answer in plain text: reproduced, or not and where."""
    several = len(_configurations(found)) > 1
    said = [
        *(f"{_name(each, several=several)}: {_where(each)}" for each in found["where"]),
        *(f"{_name(each, several=several)}: {_where(each)}" for each in found["doubtful"]),
        *(
            f"{_name(each, several=several)}: {_rate(each['now'][0])} held where {_rate(each['then'][0])} did"
            for each in found["searches"]
            if each["verdict"] in {"better", "worse"}
        ),
        *(f"{_name(each, several=several)}: not measured ({each['why']})" for each in found["missing"]),
        *(
            f"{_name(each, several=several)}: the search did not end"
            for each in found["searches"]
            if each["verdict"] == "cannot be told"
        ),
    ]
    count = number_format.plural(len(found["differs"]), "difference")
    besides = f" Besides: {count} of host, versions or images." if found["differs"] else ""
    limits = "".join(
        f" {_name(each, several=several)} is called {each['now']} where it was {each['then']}."
        for each in found["limits"]
    )
    if found["verdict"] == "reproduced":
        return f"Reproduced.{_how_sure(found)}{limits}{besides}"
    lead = (
        "Not reproduced"
        if found["verdict"] == "not reproduced"
        else "Whether it is reproduced cannot be told"
    )
    return f"{lead}. {'; '.join(said) or found['why_not']}.{limits}{besides}"


def _run(run: Mapping[str, Any]) -> str:
    return f"run {code(run['id'])} of {escape(run['started_at'])}"


def _how_sure(found: Reproduction) -> str:
    """What a change must have been at least to be seen."""
    metrics = [
        each for stage in (found["comparison"] or {"stages": ()})["stages"] for each in stage["metrics"]
    ]
    reach = [each["detectable"] for each in metrics if each["name"] == "duration_ms.p95"]
    if not reach:
        return " Every search ended between rates that fit."
    least, most = (f"{share * 100:,.0f}" for share in (min(reach), max(reach)))
    span = f"{most} %," if least == most else f"{least} % to {most} % (by stage),"
    return (
        f" No number is shown to differ. These runs would have shown a p95 that differs by more than {span}"
        " and nothing smaller; with repeats they show more."
    )


def _configurations(found: Reproduction) -> set[str]:
    stages = found["comparison"]["stages"] if found["comparison"] else ()
    every = (*stages, *found["missing"], *found["searches"], *found["limits"])
    return {each["configuration"] for each in every}


def _name(each: Mapping[str, Any], *, several: bool) -> str:
    return f"{each['configuration']}, {each['stage']}" if several else str(each["stage"])


def _where(each: Mapping[str, Any]) -> str:
    change = signed_change({"name": each["metric"], "change": each["change"]})
    word = each["verdict"] if each["verdict"] in {"better", "worse"} else "but the stage is suspect"
    return f"{TITLES[each['metric']]} {change} ({word})"


def _rate(value: float | None) -> str:
    return "nothing" if value is None else f"{value:,.0f} RPS"


def _machines(found: Reproduction) -> list[str]:
    unlike = found["comparison"]["unlike"] if found["comparison"] else ()
    if not unlike:
        return []
    differ = "; ".join(
        f"{escape(each['what'])} {escape(each['base'])} → {escape(each['head'])}" for each in unlike
    )
    return [f"> **Another machine:** {differ}. A difference in the numbers may be the machine's."]


def _searches(found: Reproduction) -> list[str]:
    if not found["searches"]:
        return []
    rows = [
        [
            escape(_name(each, several=True)),
            str(each["repeat"]),
            *(f"{_rate(each[side][0])} – {_rate(each[side][1])}" for side in ("then", "now")),
            each["verdict"],
        ]
        for each in found["searches"]
    ]
    head = ["Search", "Repeat", "Archive: held – did not hold", "Now", "Verdict"]
    return ["## Searches", table(head, rows, figures=False)]


def _limits(found: Reproduction) -> list[str]:
    if not found["limits"]:
        return []
    rows = [
        [escape(_name(each, several=True)), code(each["then"]), code(each["now"])] for each in found["limits"]
    ]
    return ["## Limits that are called otherwise", table(["Stage", "Archive", "Now"], rows, figures=False)]


def _not_compared(found: Reproduction) -> list[str]:
    if found["searches"]:
        return []
    return ["## Nothing to compare", escape(found["why_not"]) + "."]
