"""A history for people: a curve for each number, oldest run first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.report import number_format
from runner.report.headlines import TITLES, shown
from runner.report.markdown_text import code, escape, table
from runner.report.sparkline import sparkline

History = Mapping[str, Any]
_HOW: Final = (
    "each curve starts at 0 and has the oldest run on the left. The last run is judged against all before it."
)


def render_history(history: History) -> str:
    """The whole history as Markdown."""
    runs = history["runs"]
    several = len({stage["configuration"] for stage in history["stages"]}) > 1
    parts = [
        f"# History of {escape(history['experiment'])}",
        f"{number_format.plural(len(runs), 'run')}, {_span(runs)}; {_HOW}",
    ]
    if history["unlike"]:
        ids = number_format.listed([code(each) for each in history["unlike"]])
        parts.append(f"Left out, because another machine made them: {ids}.")
    for stage in history["stages"]:
        name = escape(stage["stage"])
        parts += [f"## {escape(stage['configuration'])}, {name}" if several else f"## {name}", _table(stage)]
    return "\n\n".join(parts) + "\n"


def _span(runs: Sequence[Mapping[str, Any]]) -> str:
    return f"from {escape(runs[0]['started_at'])} to {escape(runs[-1]['started_at'])}"


def _table(stage: Mapping[str, Any]) -> str:
    rows = [
        [
            TITLES[metric["name"]],
            code(sparkline(metric["values"])),
            *(shown(metric["name"], _edge(metric["values"], pick)) for pick in (min, max)),
            shown(metric["name"], metric["median"]),
            shown(metric["name"], metric["last"]),
            f"**{metric['verdict']}**"
            if metric["verdict"] in {"worse", "better"}
            else metric["verdict"] or "–",
        ]
        for metric in stage["metrics"]
    ]
    return table(
        ["Metric", "Runs", "Lowest", "Highest", "Median before", "Last", "Verdict"], rows, words=(1, 6)
    )


def _edge(values: list[float | None], pick: Any) -> float | None:
    return pick((value for value in values if value is not None), default=None)  # type: ignore[no-any-return]
