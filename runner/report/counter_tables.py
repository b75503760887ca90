"""The appendix of counters: what moved in each stage, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.report.markdown_text import code, escape, table
from runner.report.tables import stage_name

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]

_SHOWN: Final = (
    "tcp.", "conntrack.", "ports.", "softnet.", "nginx.", "app.", "fds.", "memory.oom_kills",
    "memory.limit_hits", "threads.hottest_cores", "threads.runnable_share",
    "cpu.steal_s", "cpu.softirq_s", "run_queue", "psi.",
)  # fmt: skip
_LEAST_SECONDS: Final = 0.1
_HIDDEN: Final = ("cpu.softirq_s.",)
_SCOPES: Final = {"host": "host", "net:host": "host's network"}


def moved(configuration: Configuration) -> str:
    """Counters that rose and levels with their bounds, a column a stage; empty when none was read."""
    stages = configuration["stages"]
    by_stage = [
        {(each["scope"], each["name"]): each for each in stage.get("counters", ())} for stage in stages
    ]
    keys = dict.fromkeys(key for found in by_stage for key in found if _is_shown(key[1]))
    rows = [
        [f"{escape(_scope(scope))}: {code(name)}", *(_cell(found.get((scope, name))) for found in by_stage)]
        for scope, name in sorted(keys)
        if any(_moved(found.get((scope, name))) for found in by_stage)
    ]
    return table(["Counter", *map(stage_name, stages)], rows) if rows else ""


def _is_shown(name: str) -> bool:
    return name.startswith(_SHOWN) and not name.startswith(_HIDDEN)


def _scope(scope: str) -> str:
    return _SCOPES.get(scope, scope.replace("net:", "network of "))


def _moved(counter: Mapping[str, Any] | None) -> bool:
    if counter is None:
        return False
    return bool(counter["delta"] if counter["kind"] == "counter" else counter["peak"])


def _cell(counter: Mapping[str, Any] | None) -> str:
    """How much it rose; of a level, its peak of its bound."""
    if counter is None:
        return "–"
    if counter["kind"] == "counter":
        return f"+{_number(counter['delta'], counter['unit'])}"
    if counter["name"] == "threads.hottest_cores":
        return f"{counter['after']:.2f} of a core"
    if counter["name"] == "threads.runnable_share":
        return f"{counter['after']:.0%} of the time".replace("%", " %")
    bound = f" of {_number(counter['limit'], counter['unit'])}" if counter["limit"] else ""
    return f"{_number(counter['peak'], counter['unit'])}{bound}"


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.2f} s" if value >= _LEAST_SECONDS else f"{value * 1000:.2f} ms"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def not_readable(configurations: Sequence[Configuration]) -> list[str]:
    """What could not be read and why, each once."""
    return list(
        dict.fromkeys(
            f"{escape(_scope(each['scope']))}: {code(each['name'])}: {escape(each['reason'])}."
            for configuration in configurations
            for stage in configuration["stages"]
            for each in stage.get("unreadable", ())
        )
    )
