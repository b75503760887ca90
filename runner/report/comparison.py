"""A comparison for people: what differs besides, what got better or worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.report import number_format
from runner.report.headlines import TITLES, shown
from runner.report.markdown_text import code, escape, table

Comparison = Mapping[str, Any]
_MINUS = "−"


def render_comparison(comparison: Comparison) -> str:
    """The whole comparison as Markdown."""
    parts = [
        "# Comparison",
        *_warning(comparison),
        f"> {verdict(comparison)}",
        f"Base: {_runs(comparison['base'])}  \nHead: {_runs(comparison['head'])}",
        *_surroundings(comparison),
        *stage_sections(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def stage_sections(comparison: Comparison) -> list[str]:
    """A table for each stage, what was left out, and how it was compared."""
    several = len({stage["configuration"] for stage in comparison["stages"]}) > 1
    parts: list[str] = []
    for stage in comparison["stages"]:
        parts += [f"## {_name(stage, several=several)}: {stage['verdict']}", _table(stage)]
    return [
        *parts,
        *_bullets("What was left out, and what to doubt", _left_out(comparison)),
        "## How it was compared",
        _method(comparison),
    ]


def brief_comparison(comparison: Comparison) -> str:
    """The same for a place with little room: one table, the changes in it."""
    several = len({stage["configuration"] for stage in comparison["stages"]}) > 1
    keys = [key for key in TITLES if any(_metric(stage, key) for stage in comparison["stages"])]
    rows = [
        [
            _name(stage, several=several),
            *(_cell(_metric(stage, key)) for key in keys),
            f"**{stage['verdict']}**",
        ]
        for stage in comparison["stages"]
    ]
    differs = [
        f"{escape(each['what'])} {escape(each['base'])} → {escape(each['head'])}"
        for each in comparison["changed"]
    ]
    notes = [
        *(["Different besides: " + "; ".join(differs) + "."] if differs else []),
        *_left_out(comparison),
    ]
    parts = [
        *_warning(comparison),
        verdict(comparison),
        table(["Stage", *(TITLES[key] for key in keys), "Verdict"], rows),
        "\n".join(f"- {note}" for note in notes),
        _method(comparison),
    ]
    return "\n\n".join(part for part in parts if part)


def verdict(comparison: Comparison) -> str:
    """The answer, one sentence."""
    several = len({stage["configuration"] for stage in comparison["stages"]}) > 1
    found = [
        f"{_name(stage, several=several)}: {TITLES[metric['name']]} {signed_change(metric)}"
        for stage in comparison["stages"]
        for metric in stage["metrics"]
        if metric["verdict"] == comparison["verdict"]
    ]
    margin = _share(comparison["margin"])
    if comparison["verdict"] in {"worse", "better"}:
        return f"**Head is {comparison['verdict']}.** {number_format.listed(found)}."
    if comparison["verdict"] == "equivalent":
        return f"**Equivalent.** Every difference is within the margin of {margin}."
    return (
        f"**No difference shown.** Nothing changed by more than the margin of {margin} and what chance does."
    )


def _warning(comparison: Comparison) -> list[str]:
    if not comparison["unlike"]:
        return []
    differ = "; ".join(
        f"{escape(each['what'])} {escape(each['base'])} → {escape(each['head'])}"
        for each in comparison["unlike"]
    )
    return [
        f"> **Unlike machines, compared all the same (`--force`):** {differ}. A difference may be theirs."
    ]


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    first = f"{code(runs[0]['id'])} of {escape(runs[0]['started_at'])}, {code(runs[0]['command'])}"
    return first if len(runs) == 1 else f"{first} and {number_format.plural(len(runs) - 1, 'run')} more"


def differing(rows: Sequence[Mapping[str, str]], base: str, head: str) -> list[str]:
    """A table of what is different besides the numbers."""
    cells = [[escape(each[key]) for key in ("what", "base", "head")] for each in rows]
    return ["## What is different besides", table(["What", base, head], cells, figures=False)]


def _surroundings(comparison: Comparison) -> Iterator[str]:
    differ = [*comparison["unlike"], *comparison["changed"]]
    if differ:
        yield from differing(differ, "Base", "Head")
    else:
        yield "Machine, versions and specification are the same."


def _table(stage: Mapping[str, Any]) -> str:
    rows = [
        [
            TITLES[metric["name"]],
            shown(metric["name"], metric["base"]),
            shown(metric["name"], metric["head"]),
            signed_change(metric),
            f"{_signed(metric, 'low')} to {_signed(metric, 'high')}",
            _share(metric["detectable"]).replace("%", "pp" if metric["name"] == "lost" else "%"),
            f"**{metric['verdict']}**" if metric["verdict"] in {"worse", "better"} else metric["verdict"],
        ]
        for metric in stage["metrics"]
    ]
    head = ["Metric", "Base", "Head", "Change", "Interval", "Could have shown", "Verdict"]
    return table(head, rows, words=(6,))


def _metric(stage: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    return next((metric for metric in stage["metrics"] if metric["name"] == key), None)


def _cell(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return number_format.NOT_MEASURED
    before, after = (shown(metric["name"], metric[side]) for side in ("base", "head"))
    if before == after:
        return after
    word = f", **{metric['verdict']}**" if metric["verdict"] in {"worse", "better"} else ""
    return f"{before} → {after} ({signed_change(metric)}{word})"


def signed_change(metric: Mapping[str, Any]) -> str:
    """How much a number changed, with its sign and unit."""
    return _signed(metric, "change")


def _signed(metric: Mapping[str, Any], key: str) -> str:
    """A share with its sign; of a share that is no ratio, percentage points."""
    value = metric[key] * 100
    digits = 0 if abs(value) >= 100 else 1
    sign = "+" if value > 0 else _MINUS if value < 0 else ""
    return f"{sign}{abs(value):,.{digits}f} {'pp' if metric['name'] == 'lost' else '%'}"


def _share(value: float) -> str:
    return f"{value * 100:,.{0 if value >= 1 or value * 100 == int(value * 100) else 1}f} %"


def _name(stage: Mapping[str, Any], *, several: bool) -> str:
    name = escape(stage["stage"])
    return f"{escape(stage['configuration'])}, {name}" if several else name


def _left_out(comparison: Comparison) -> list[str]:
    where = {"base": "base", "head": "head", "both": "both"}
    return [
        *(
            f"{escape(each['configuration'])}, {escape(each['stage'])} ({where[each['side']]}): "
            f"{escape(each['why'])}."
            for each in comparison["left_out"]
        ),
        *(
            f"{escape(each['configuration'])}, {escape(each['stage'])} is suspect ({where[each['side']]}): "
            f"{escape(each['why'])}."
            for each in comparison["suspect"]
        ),
        *(f"Only in the base: {escape(', '.join(key))}." for key in comparison["only_in_base"]),
        *(f"Only in the head: {escape(', '.join(key))}." for key in comparison["only_in_head"]),
    ]


def _bullets(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {line}" for line in lines)] if lines else []


def _method(comparison: Comparison) -> str:
    assumed = any(
        metric["basis"] == "assumed noise" for stage in comparison["stages"] for metric in stage["metrics"]
    )
    said = (
        f"A change is better or worse when its interval leaves out 0 and it is larger than the margin of "
        f"{_share(comparison['margin'])}. The intervals hold together: on equal systems at most "
        f"{_share(1 - comparison['confidence'])} of all comparisons say that anything changed."
    )
    if assumed:
        said += (
            " One side has a single run, so nothing tells how much runs differ: a noise is assumed that is "
            "rather too large, and only large changes are shown. With `repeats: 5` smaller ones are."
        )
    return said
