"""The tables and metrics as Markdown; ``python -m runner.outputs.describe`` updates docs/outputs.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from runner.outputs.column import Column
from runner.outputs.histograms import HISTOGRAM_COLUMNS
from runner.outputs.live_families import FAMILIES, Type
from runner.outputs.timeseries_columns import TIMESERIES_COLUMNS

_PLACE: Final = re.compile(r"(<!-- generated: (\w+) -->\n)(?:\n(?:\|.*\n)+)?")


def described(text: str) -> str:
    """Return a page with every table that is generated as it is now."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{_TABLES[place[2]]}", text)


def _columns(columns: Sequence[Column[Any]]) -> str:
    rows = ((f"`{one.name}`", one.kind.value, one.unit, one.definition) for one in columns)
    return _table(("column", "type", "unit", "meaning"), rows)


def _metrics() -> str:
    rows = (
        (
            f"`{one.name}{'_total' if one.type is Type.COUNTER else ''}`",
            one.type.value,
            ", ".join(f"`{label}`" for label in one.labels),
            one.meaning,
        )
        for one in FAMILIES
    )
    return _table(("metric", "type", "labels", "meaning"), rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


_TABLES: Final = {
    "timeseries": _columns(TIMESERIES_COLUMNS),
    "histograms": _columns(HISTOGRAM_COLUMNS),
    "metrics": _metrics(),
}

if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/outputs.md")
    page.write_text(described(page.read_text(encoding="utf-8")), encoding="utf-8")
