"""Brings lost agents back: a new one on each node that is there, before the next stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

import trio

from runner.cluster.hub_connection import HubConnection
from runner.cluster.placement import READY, Node
from runner.core.errors import EnvironmentLacks
from runner.core.units import Seconds

_BACK_WITHIN_S: Final[Seconds] = 20
_LOOK_EVERY_S: Final[Seconds] = 0.5
_MOST_TRIES: Final = 2


class Comeback:
    """Places new agents where agents are lost.

    Args:
        hub: The connection to their hub.
        nodes: Name to node, of all agents of the run.
        place_again: Begins to place a new agent on a node; returns at once.
        list_nodes: Returns all nodes as the engine sees them now.
    """

    def __init__(
        self,
        hub: HubConnection,
        nodes: Mapping[str, Node],
        place_again: Callable[[Node], None],
        list_nodes: Callable[[], Awaitable[Sequence[Node]]],
    ) -> None:
        self._hub, self._nodes = hub, nodes
        self._place_again, self._list_nodes = place_again, list_nodes
        self._tries: Counter[str] = Counter()

    async def bring_back(self) -> tuple[str, ...]:
        """Place new agents; return the names of the nodes that are back.

        Takes at most 20 s, and less if the engine knows that all of them are down. A node that does not
        answer is tried twice; an agent that joins later is welcome.
        """
        hub = self._hub
        tried = [name for name in hub.lost if self._tries[name] < _MOST_TRIES]
        if hub.hub_lost or not tried:
            return ()
        with trio.move_on_after(_BACK_WITHIN_S), suppress(trio.BrokenResourceError):
            for name in tried:
                self._tries[name] += 1
                await hub.expect_again(name)
                self._place_again(self._nodes[name])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait_all_down, tried, nursery.cancel_scope)
                await hub.wait_until(lambda: hub.hub_lost or not set(tried) & set(hub.lost) or None)
                nursery.cancel_scope.cancel()
        back = tuple(name for name in tried if name not in hub.lost)
        for name in back:
            del self._tries[name]
        return back

    async def _wait_all_down(self, tried: Collection[str], scope: trio.CancelScope) -> None:
        """Cancel a scope when no lost node of some is ready: until that changes, no agent starts there."""
        while True:
            with suppress(EnvironmentLacks):
                ready = {node.id for node in await self._list_nodes() if node.state == READY}
                if not any(self._nodes[name].id in ready for name in tried if name in self._hub.lost):
                    scope.cancel()
            await trio.sleep(_LOOK_EVERY_S)
