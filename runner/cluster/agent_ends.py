"""Why an agent has ended or does not join, as far as the engine that placed it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import trio

from runner.cluster.errors import AgentFailed
from runner.cluster.exits import how_ended
from runner.cluster.facts import LostAgent
from runner.cluster.hub_connection import HubConnection
from runner.cluster.placement import Node, Placer, Task
from runner.core.units import Nanoseconds, Seconds

_EXPLAINED_WITHIN_S: Final[Seconds] = 2
_QUOTED_LINES: Final = 5


class AgentEnds:
    """Asks the engine about the programs of agents.

    Args:
        placer: Has placed them.
        nodes: Name of each plan to its node; agents that are placed later are added to it.
    """

    def __init__(self, placer: Placer, nodes: Mapping[str, Node]) -> None:
        self._placer, self._nodes = placer, nodes

    async def not_joined(self, name: str, within: Seconds) -> AgentFailed:
        """Return the error for an agent that runs but does not join.

        Args:
            name: Of its plan.
            within: How long it was waited for, in seconds.
        """
        ended = await self._how_ended(name)
        return AgentFailed(
            f"the agent on {self._nodes[name].name} did not join the hub: "
            + (ended or f"nothing within {within:g} s"),
            hint="`runner doctor --swarm` checks the network between the nodes",
            details=await self._last_output(name),
        )

    async def explain_losses(self, hub: HubConnection) -> None:
        """Add to each loss how the agent's program has ended, until it is cancelled."""
        known: dict[str, Nanoseconds] = {}
        while True:

            def lost() -> LostAgent | None:
                return next((one for one in hub.lost.values() if known.get(one.node) != one.at_ns), None)

            one = await hub.wait_until(lost)
            known[one.node] = one.at_ns
            names = [name for name, node in self._nodes.items() if node.name == one.node]
            if hub.hub_lost or not names or not (ended := await self._how_ended(names[-1])):
                continue
            if hub.lost.get(one.node) == one:  # else it is back
                hub.explain(one.node, f"{one.reason}; {ended}")

    async def _last_output(self, name: str) -> tuple[str, ...]:
        with trio.move_on_after(_EXPLAINED_WITHIN_S):
            outputs = await self._placer.output(name, _QUOTED_LINES)
            return tuple(line for lines in outputs.values() for line in lines)
        return ()

    async def _how_ended(self, name: str) -> str:
        with trio.move_on_after(_EXPLAINED_WITHIN_S):
            while True:
                tasks = await self._placer.tasks(name)
                for task in tasks:
                    if task.exit_code is not None or task.error:
                        return _end_of(task)
                await trio.sleep(0.1)
        return ""


def _end_of(task: Task) -> str:
    """Return how a task has ended: by its exit status if there is one, else in the engine's words."""
    return task.error if task.exit_code is None else how_ended(task.exit_code)
