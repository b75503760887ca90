"""The appendix of counters: what rose in each stage, and what could not be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Final

from msgspec import UNSET

from runner.core.observed_results import CounterReading
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, code, markdown, table
from runner.report.nodes import RUNNERS_MACHINE, shown_nodes
from runner.report.number_format import NOT_APPLICABLE
from runner.report.tables import every_stage

_SHOWN: Final = (
    "tcp.", "conntrack.", "ports.", "softnet.", "nginx.", "app.", "fds.", "memory.oom_kills",
    "memory.limit_hits", "threads.hottest_cores", "threads.runnable_share",
    "pg.", "mysql.", "redis.", "disk.", "io.", "net.",
    "cpu.steal_s", "cpu.softirq_s", "run_queue", "psi.",
)  # fmt: skip
_NODES_NAMED: Final = 4
_LEAST_SECONDS: Final = 0.1
_LEAST_MIB: Final = 10 * 2**20
_HIDDEN: Final = ("cpu.softirq_s.",)
_SCOPES: Final = {"host": "host", "net:host": "host's network"}


def changed_counters(configuration: ConfigurationResults) -> Markdown:
    """Return counters that rose and gauges with their limits, a column for each stage; empty without any."""
    stages = configuration.stages
    shown = frozenset(shown_nodes(stages))
    by_stage = [dict(_counters(stage, shown)) for stage in stages]
    keys = {key for counters in by_stage for key in counters if _is_shown(key[2])}
    own = RUNNERS_MACHINE if any(stage.nodes for stage in stages) else ""
    rows = []
    for key in sorted(keys):
        node, scope, name = key
        readings = [counters.get(key) for counters in by_stage]
        if any(map(_is_changed, readings)):
            rows.append([_place(node or own, scope, name), *map(_cell, readings)])
    return table(["Counter", *(stage.title for stage in stages)], rows) if rows else EMPTY


def _counters(stage: Stage, shown: Collection[str]) -> Iterator[tuple[tuple[str, str, str], CounterReading]]:
    """Yield each counter with its node, empty for the runner's own machine, its scope and its name."""
    nodes = ((node.name, node.counters) for node in stage.nodes if node.name in shown)
    for node, counters in (("", stage.counters), *nodes):
        yield from (((node, counter.scope, counter.name), counter) for counter in counters)


def _place(node: str, scope: str, name: str) -> Markdown:
    of_node = markdown("{}, ", node) if node else EMPTY
    return markdown("{}{}: {}", of_node, _scope(scope), code(name))


def _is_shown(name: str) -> bool:
    return name.startswith(_SHOWN) and not name.startswith(_HIDDEN)


def _scope(scope: str) -> str:
    return _SCOPES.get(scope, scope.replace("net:", "network of "))


def _is_changed(counter: CounterReading | None) -> bool:
    return bool(counter and (counter.delta if counter.kind == "counter" else counter.peak))


def _cell(counter: CounterReading | None) -> str:
    """Return by how much a counter rose; of a gauge, its peak and its limit."""
    if counter is None:
        return NOT_APPLICABLE
    if counter.kind == "counter":
        return f"+{_number(counter.delta or 0.0, counter.unit)}{_own_time(counter)}"
    if counter.name == "threads.hottest_cores":
        return f"{counter.after:.2f} of a core"
    if counter.name == "threads.runnable_share":
        return f"{counter.after:.0%} of the time".replace("%", " %")
    if counter.peak is None:
        return NOT_APPLICABLE
    return f"{_number(counter.peak, counter.unit)}{_bound(counter)}"


def _own_time(counter: CounterReading) -> str:
    """Return the seconds of the window that an increase covers, if it was read late."""
    if counter.from_s is UNSET or counter.to_s is UNSET:
        return ""
    return f" ({counter.from_s:.1f} s to {counter.to_s:.1f} s)"


def any_late(configurations: Sequence[ConfigurationResults]) -> bool:
    """Return whether a counter covers another time than the window."""
    stages = (stage for _, stage in every_stage(configurations))
    return any(
        counter.from_s is not UNSET
        for stage in stages
        for counter in chain(stage.counters, *(node.counters for node in stage.nodes))
    )


def _bound(counter: CounterReading) -> str:
    """Return the limit of a gauge; more threads than processors may want to run."""
    if not counter.limit:
        return ""
    if counter.name == "run_queue":
        return f" on {number_format.plural(int(counter.limit), 'CPU')}"
    return f" of {_number(counter.limit, counter.unit)}"


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.2f} s" if value >= _LEAST_SECONDS else f"{value * 1000:.2f} ms"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB" if value >= _LEAST_MIB else f"{value / 2**10:,.0f} KiB"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def not_readable(configurations: Sequence[ConfigurationResults]) -> list[Markdown]:
    """Return what could not be read and why, each once."""
    stages = [stage for _, stage in every_stage(configurations)]
    own = RUNNERS_MACHINE if any(stage.nodes for stage in stages) else ""
    counters = (counter for stage in stages for counter in stage.unreadable)
    lines = (markdown("{}: {}.", _place(own, c.scope, c.name), c.reason) for c in counters)
    return list(dict.fromkeys([*lines, *_not_readable_on_nodes(stages)]))


def _not_readable_on_nodes(stages: Sequence[Stage]) -> Iterator[Markdown]:
    """Yield the same of nodes, which mostly cannot read the same counters for the same reason."""
    nodes: dict[tuple[str, str], dict[str, None]] = {}
    for node in (node for stage in stages for node in stage.nodes):
        for counter in node.unreadable:
            nodes.setdefault((counter.name, counter.reason), {})[node.name] = None
    for (name, reason), names in nodes.items():
        more = len(names) - _NODES_NAMED
        where = [
            *list(names)[:_NODES_NAMED],
            *([number_format.plural(more, "more node")] if more > 0 else []),
        ]
        yield markdown("{}: {}: {}.", number_format.listed(where), code(name), reason)
