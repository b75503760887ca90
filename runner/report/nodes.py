"""What a report says about the machines of an experiment on several: their CPU, their load, their clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import Role, is_service
from runner.core.node_results import NodeLoadResults, NodeResults
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, markdown, table
from runner.report.metric_text import role_name
from runner.report.number_format import NOT_APPLICABLE, NOT_MEASURED

RUNNERS_MACHINE: Final = "the runner's machine"
MOST_NODES: Final = 16
"""Nodes that a table shows; the others are in results.json."""
_MOST_LOADS: Final = 64
_ORDER: Final = (Role.GENERATOR, Role.PROXY, Role.APP, Role.FORWARDER, Role.DAEMON)
_LAST: Final = (Role.RUNNER, Role.OTHER)
_FULL: Final = 0.95


def cpu_by_node(stages: Sequence[Stage]) -> Markdown:
    """Return the cores that each component used on each node, which add up to the node's total."""
    rows: list[list[str]] = []
    head = ["Node", *(stage.title for stage in stages)]
    for name in shown_nodes(stages):
        if rows:
            rows.append([NOT_APPLICABLE] * len(head))
        rows += _rows(name, [_node(stage, name) for stage in stages])
    return table(head, rows) if rows else EMPTY


def shown_nodes(stages: Sequence[Stage]) -> list[str]:
    """Return the nodes of a table: all, or of very many the busiest ones, by name."""
    names = dict.fromkeys(node.name for stage in stages for node in stage.nodes)
    if len(names) <= MOST_NODES:
        return list(names)
    nodes = [node for stage in stages for node in stage.nodes]
    ranked = sorted(nodes, key=lambda node: (not (node.load and node.load.lost), -(_share(node) or 0.0)))
    return sorted(list(dict.fromkeys(node.name for node in ranked))[:MOST_NODES])


def left_out(stages: Sequence[Stage]) -> str:
    """Return how many nodes the tables do not show; empty if they show all."""
    more = len({node.name for stage in stages for node in stage.nodes}) - MOST_NODES
    return f"{number_format.plural(more, 'more node')} in results.json" if more > 0 else ""


def _node(stage: Stage, name: str) -> NodeResults | None:
    return next((node for node in stage.nodes if node.name == name), None)


def _rows(name: str, nodes: Sequence[NodeResults | None]) -> Iterator[list[str]]:
    """Yield a row for each component on a node, and one for all that was used on it."""
    for role in _roles([node for node in nodes if node]):
        yield [markdown("{}: {}", name, _component(role)), *(_cores(node, role) for node in nodes)]
    cores = next((node.cores for node in nodes if node and node.cores), None)
    of = markdown(" of {}", number_format.plural(cores, "core")) if cores else EMPTY
    yield [markdown("**{}: total{}**", name, of), *map(_total, nodes)]


def _roles(nodes: Sequence[NodeResults]) -> list[str]:
    seen = dict.fromkeys(role for node in nodes for role, usage in node.cpu_cores.items() if usage)
    services = [role for role in seen if is_service(role)]
    return [role for role in (*_ORDER, *services, *_LAST) if role in seen]


def _component(role: str) -> str:
    """Return what a role is on a node, where agent and hub are what the runner is on its own machine."""
    return "Loadproof's own programs" if role == Role.RUNNER else role_name(role)


def _cores(node: NodeResults | None, role: str) -> str:
    if node is None or role not in node.cpu_cores:
        return NOT_APPLICABLE
    usage = node.cpu_cores[role]
    return number_format.cores(usage.avg if usage else None)


def _total(node: NodeResults | None) -> str:
    """Return the cores that were used on a node, in bold where none was left."""
    shown = _cores(node, Role.SYSTEM)
    if node is None or node.cpu_cores.get(Role.SYSTEM) is None:
        return NOT_APPLICABLE if node is None else NOT_MEASURED
    return markdown("**{}**", shown) if (_share(node) or 0.0) >= _FULL else shown


def _share(node: NodeResults) -> float | None:
    """Return the share of its cores that a node used."""
    usage = node.cpu_cores.get(Role.SYSTEM)
    return usage.avg / node.cores if usage and node.cores else None


def load_by_node(stages: Sequence[Stage]) -> Markdown:
    """Return what each node offered in each stage, and how well the instant of its start is known."""
    known = [
        (stage, node.name, node.load) for stage in stages for node in stage.nodes if node.load is not None
    ]
    if not known:
        return EMPTY
    lost = any(load.lost for _, _, load in known)
    head = [
        "Stage, node", "Workers", "Share", "Due", "Maximum rate (RPS)", "Clock offset (s)", "± (ms)",
        "Drift (ms)", "Start within (ms)", *(["Lost"] if lost else []),
    ]  # fmt: skip
    rows = [
        [f"{stage.title}, {name}", *_load(load), *([_loss(load)] if lost else [])]
        for stage, name, load in known[:_MOST_LOADS]
    ]
    return table(head, rows, words=(len(head) - 1,) if lost else ())


def _load(load: NodeLoadResults) -> list[str]:
    clock = load.clock
    return [
        f"{load.workers:,}",
        number_format.share(load.share),
        f"{load.planned:,}" if load.planned else NOT_APPLICABLE,  # users who wait follow no schedule
        number_format.rate(load.ceiling_rps),
        f"{clock.offset_s:+,.6f}" if clock else NOT_MEASURED,
        number_format.ms(clock.error_ms) if clock else NOT_MEASURED,
        NOT_MEASURED if clock is None or clock.drift_ms is None else f"{clock.drift_ms:+,.3f}",
        number_format.ms(load.start_error_ms),
    ]


def _loss(load: NodeLoadResults) -> str:
    if not load.lost:
        return NOT_APPLICABLE
    when = "" if load.lost_at_s is None else f", noticed {load.lost_at_s:.1f} s into the window"
    return f"{load.lost}{when}; {load.not_offered:,} not offered or without a known end"


def beyond_one_node(stages: Sequence[Stage]) -> Markdown:
    """Return the lowest rate that no single node could have offered; empty if one could have offered all."""
    for stage in sorted(stages, key=lambda stage: stage.rate):
        known = [(node.name, node.load.ceiling_rps) for node in stage.nodes if node.load]
        ceilings = [(ceiling, name) for name, ceiling in known if ceiling]
        rate = stage.ramp.highest if stage.ramp else stage.target_rps
        if rate and len(ceilings) > 1 and len(ceilings) == len(known) and max(ceilings)[0] < rate:
            ceiling, name = max(ceilings)
            highest = markdown("the highest maximum rate is {:rate} RPS, of {}", ceiling, name)
            return markdown("No node alone could have offered {:rate} RPS: {}.", rate, highest)
    return EMPTY


def load_nodes(stages: Sequence[Stage]) -> set[str]:
    """Return the names of the nodes that made load."""
    return {node.name for stage in stages for node in stage.nodes if node.load}
