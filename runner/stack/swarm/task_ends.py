"""Waits until tasks have ended, and names the nodes that do not end theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from runner.core.units import Seconds
from runner.stack.docker.engine import Engine
from runner.stack.swarm.manager import list_nodes
from runner.stack.swarm.tasks import list_tasks

_ROUND_S: Final[Seconds] = 0.2
_GONE: Final = frozenset({"down", "unknown", "disconnected"})
"""States of nodes whose tasks do not end."""
_ASKED_AFTER_S: Final[Seconds] = 1.0
"""Until then it is not asked whether their nodes are down, unless one was before."""
_ASK_EVERY_S: Final[Seconds] = 1.0
_GIVEN_UP_AFTER_S: Final[Seconds] = 15.0
"""A manager needs this long to notice that a node is down; tasks of healthy nodes end within 8 s."""


class TaskEnds:
    """What is known of nodes that do not end the tasks of a run.

    Args:
        engine: A manager's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._silent: set[str] = set()
        self._one_was_gone = False

    async def wait(self, label: Sequence[str]) -> str:
        """Wait until no task with all of some labels is left, except on nodes that are down or do not answer.

        A node that has not ended its tasks within 15 s is not waited for again.

        Returns:
            A clause about what is left, empty for nothing.

        Raises:
            EnvironmentLacks: The manager stopped responding.
        """
        began = trio.current_time()
        ask_at = began if self._one_was_gone else began + _ASKED_AFTER_S
        while tasks := await list_tasks(self._engine, {"label": list(label)}):
            now = trio.current_time()
            if now >= ask_at:
                ask_at = now + _ASK_EVERY_S
                placed = {task.node_id for task in tasks}
                if now > began + _GIVEN_UP_AFTER_S:
                    self._silent |= placed
                if names := await self._unreachable(placed):
                    return f"containers on {', '.join(names)}, which the swarm removes when it is back"
            await trio.sleep(_ROUND_S)
        return ""

    async def _unreachable(self, placed: set[str]) -> list[str]:
        """Return the names of nodes, if none of them can be waited for."""
        nodes = [node for node in await list_nodes(self._engine) if node.id in placed]
        gone = [node for node in nodes if node.state in _GONE or node.id in self._silent]
        if placed - self._silent <= {node.id for node in gone}:
            self._one_was_gone = True
            return [node.name for node in gone] or ["a node that has left"]
        return []
