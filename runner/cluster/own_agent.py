"""The agent of the hub's own node: a second process in the hub's container.

A container costs an engine more than the program in it, and both programs import much of the same: the
process that becomes the hub forks the agent when it has imported that, and before anything runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import msgspec
import trio
from msgspec import Struct

from runner.cluster.agent_link import AgentPlan
from runner.cluster.exits import MISUSED, how_ended
from runner.cluster.wire import Name
from runner.core.units import Bytes

_LONGEST_ORDER: Final[Bytes] = 64 * 1024


class OwnOrder(Struct, frozen=True, kw_only=True):
    """The order that the agent receives once the hub listens.

    Attributes:
        node: Name of its node.
        plan: Of the run.
    """

    node: Name
    plan: AgentPlan


class OwnAgent:
    """The hub's side.

    Args:
        pid: Of the agent.
        orders: The end of a pipe to it, which takes its order.
    """

    def __init__(self, pid: int, orders: int) -> None:
        self.pid = pid
        self.has_ended = trio.Event()
        self.end = ""
        """How it has ended, as a clause; empty while it runs."""
        self._orders = orders

    def order(self, order: OwnOrder | None) -> None:
        """Tell the agent what to do, once; without an order it ends."""
        with open(self._orders, "wb") as orders:  # noqa: PTH123  (a descriptor)
            if order:
                orders.write(msgspec.json.encode(order))

    async def follow(self) -> None:
        """Notice the agent's end, and that of orphans in this container; ends when it is cancelled."""
        with trio.open_signal_receiver(signal.SIGCHLD) as signals:
            self._reap()
            async for _ in signals:
                self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                self.end = how_ended(os.waitstatus_to_exitcode(status))
                self.has_ended.set()


def fork_agent(live: Callable[[str, AgentPlan], int]) -> OwnAgent:
    """Fork a process that waits for its order and then calls a function, whose result is its exit status.

    Args:
        live: Called with the name of the node and the plan of the run.
    """
    theirs, ours = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        return OwnAgent(pid, ours)
    os.close(ours)
    _leave_streams()
    with open(theirs, "rb") as orders:  # noqa: PTH123  (a descriptor)
        content = orders.read(_LONGEST_ORDER)
    try:
        order = msgspec.json.decode(content, type=OwnOrder)
    except ValueError:  # the hub has ended, or has no order for it
        sys.exit(MISUSED)
    sys.exit(live(order.node, order.plan))


def _leave_streams() -> None:
    """Leave the lines from and to the runner to the hub; standard error stays common to both."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.close(null)
