"""The processes and questions on other machines that this runner follows, by their numbers."""

from __future__ import annotations

from msgspec import Raw

from runner.cluster.agent_messages import AGENT_REPORT, AskAnswer, AskFailed, AskItem
from runner.cluster.asked import Asked
from runner.cluster.remote_worker import RemoteWorker


class RemoteParts:
    """Passes what agents report on to the part that it is about."""

    def __init__(self) -> None:
        self._workers: dict[int, RemoteWorker] = {}
        self._asks: dict[int, Asked] = {}

    def add(self, part: RemoteWorker | Asked) -> None:
        """From now on, pass reports of a part on to it."""
        if isinstance(part, RemoteWorker):
            self._workers[part.number] = part
        else:
            self._asks[part.number] = part

    def forget(self, part: RemoteWorker | Asked) -> None:
        """Pass nothing on any more; what still comes is ignored."""
        self._workers.pop(part.number, None)
        self._asks.pop(part.number, None)

    def pass_on(self, node: str, content: Raw) -> None:
        """Pass a report on.

        Args:
            node: Whose agent sent it.
            content: An `AgentReport`.

        Raises:
            msgspec.DecodeError: It is something else.
            ValueError: The part is on another node, or takes no more.
        """
        report = AGENT_REPORT.decode(content)
        if isinstance(report, AskItem | AskAnswer | AskFailed):
            ask = self._asks.get(report.ask)
            _check_node(ask, node)
            if ask:
                ask.take(report)
        else:
            worker = self._workers.get(report.process)
            _check_node(worker, node)
            if worker:
                worker.take(report)

    def lose(self, node: str, reason: str) -> None:
        """The agent of a node is lost, and with it all parts there."""
        for worker in list(self._workers.values()):
            if worker.node == node:
                worker.end(None, f"the agent on {node} is lost: {reason}")
        for ask in list(self._asks.values()):
            if ask.node == node:
                ask.fail(f"the agent is lost: {reason}")


def _check_node(part: RemoteWorker | Asked | None, node: str) -> None:
    """Check that a report comes from the node that was asked.

    Raises:
        ValueError: It comes from another one.
    """
    if part and part.node != node:
        raise ValueError(f"a report about {part.node}")
