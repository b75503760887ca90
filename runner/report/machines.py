"""Tells which nodes of a cluster are one machine: what they use and what they send is not what it seems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.system_facts import SystemDescription
from runner.report.markdown_text import EMPTY, Markdown, join, listed, markdown
from runner.report.number_format import plural

_MOST_NAMES: Final = 16


def shared_machines(topology: SystemDescription) -> Markdown:
    """Return sentences about nodes that share a machine; empty where none is known to."""
    used = [node.name for node in (topology.nodes or {}).values() if node.runs]
    groups = _groups(topology, used)
    if not groups:
        return EMPTY
    if groups == [used]:
        stays = ", and no request leaves it" if topology.path else ""
        return markdown(
            "All {} are one machine: they share its processors{}.", plural(len(used), "node"), stays
        )
    return join(
        " ", [markdown("{} are one machine: they share its processors.", _names(one)) for one in groups]
    )


def _groups(topology: SystemDescription, used: Sequence[str]) -> list[list[str]]:
    """Return the names of nodes in use that share a machine, group by group."""
    nodes, groups = topology.nodes or {}, []
    for name in used:
        together = {name, *nodes[name].same_machine}
        group = [other for other in used if other in together]
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def _names(group: Sequence[str]) -> Markdown:
    more = len(group) - _MOST_NAMES
    return listed([*group[:_MOST_NAMES], *([plural(more, "more node")] if more > 0 else [])])
