"""Tells which nodes of a cluster are one machine: what they use and what they send is not what it seems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.system_facts import NodeFacts, SystemDescription
from runner.report.markdown_text import EMPTY, Markdown, join, listed, markdown
from runner.report.number_format import plural

_MOST_NAMES: Final = 16


def shared_machines(topology: SystemDescription) -> Markdown:
    """Return sentences about nodes that share a machine; empty where none is known to."""
    used = [node for node in (topology.nodes or {}).values() if node.runs]
    groups = _groups(used)
    if not groups:
        return EMPTY
    if len(groups[0]) == len(used):
        stays = ", and no request leaves it" if topology.path else ""
        return markdown(
            "All {} are one machine: they share its processors{}.", plural(len(used), "node"), stays
        )
    return join(
        " ", [markdown("{} are one machine: they share its processors.", _names(one)) for one in groups]
    )


def _groups(used: Sequence[NodeFacts]) -> list[list[str]]:
    """Return the names of nodes in use that share a machine, group by group."""
    groups: list[list[str]] = []
    for node in used:
        together = {node.name, *node.same_machine}
        group = [other.name for other in used if other.name in together]
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def _names(group: Sequence[str]) -> Markdown:
    more = len(group) - _MOST_NAMES
    return listed([*group[:_MOST_NAMES], *([plural(more, "more node")] if more > 0 else [])])
