"""Notices that a task of a stack ended, or that its node is out of reach.

A swarm announces neither: tasks have no events, and a node counts as ready for 14 s after its cable is
pulled. So the tasks are polled, and an agent that is lost makes this look at what else its node runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import trio

from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed, open_nursery
from runner.cluster.placement import Placer, Task
from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks, LoadproofError
from runner.core.facts import Event
from runner.core.masking import mask_lines, without_escapes
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.stack.exit_status import describe_exit
from runner.stack.output import printable
from runner.stack.swarm.parts import RUNNING, PartTask
from runner.stack.swarm.plans import Part

_INTERVAL_S: Final[Seconds] = 0.5
_LOG_LINES: Final = 20
_OUTPUT_WITHIN_S: Final[Seconds] = 5.0
_REACHED_WITHIN_S: Final[Seconds] = 2.0
_NAMED: Final = 2
_KILLED: Final = 137
_SIGNALLED: Final = 128


class Monitor:
    """Watches the tasks of one stack.

    Args:
        placer: Placed them.
        cluster: Its agents see other nodes.
        masked: Name to value of what no output may show.
    """

    def __init__(self, placer: Placer, cluster: Cluster, masked: Mapping[str, str]) -> None:
        self.tasks: list[PartTask] = []
        """Those to watch; more may be added."""
        self.placer = placer
        self.cluster = cluster
        self._masked = masked

    async def wait_broken(self) -> Event:
        """Wait until a task ended or is out of reach, and return what happened."""
        events: list[Event] = []

        async def first(wait: Callable[[], Awaitable[Event]]) -> None:
            events.append(await wait())
            nursery.cancel_scope.cancel()

        async with open_nursery() as nursery:
            nursery.start_soon(first, self._wait_ended)
            nursery.start_soon(first, self._wait_out_of_reach)
        return events[0]

    async def look(self) -> Event | None:
        """Return what happened to the first task that no longer runs; None while all run."""
        try:
            for name in dict.fromkeys(one.part.plan.name for one in self.tasks):
                now = {task.id: task for task in await self.placer.tasks(name)}
                for one in self.tasks:
                    if one.part.plan.name == name and (event := await self._ended(one, now.get(one.task.id))):
                        return event
        except EnvironmentLacks as error:
            return Event("stack-failed", error.message)
        return None

    async def last_lines(self, one: PartTask, count: int = _LOG_LINES) -> tuple[str, ...]:
        """Return the last lines that a task has written, secrets masked; none where there are none."""
        lines: tuple[str, ...] = ()
        with trio.move_on_after(_OUTPUT_WITHIN_S), suppress(LoadproofError):
            outputs = await self.placer.output(one.part.plan.name, count)
            lines = outputs.get(one.task.id, ())
        return self.presentable(lines, one.part)[-count:]

    def presentable(self, lines: Sequence[str], part: Part) -> tuple[str, ...]:
        """Return output of a part without control characters and secrets."""
        values = {**self._masked, **part.secrets}
        return tuple(map(printable, mask_lines([without_escapes(line) for line in lines], values)))

    async def _wait_ended(self) -> Event:
        next_look = trio.current_time()
        while not (event := await self.look()):
            next_look = max(next_look + _INTERVAL_S, trio.current_time())
            await trio.sleep_until(next_look)
        return event

    async def _wait_out_of_reach(self) -> Event:
        """Wait until a node whose agent is lost runs a task that other nodes do not reach either."""
        looked_at: set[str] = set()
        while True:
            lost = await self.cluster.wait_lost(looked_at)
            looked_at.add(lost.node)
            for one in self.tasks:
                if one.node.name == lost.node and not await self.is_reached(one):
                    why = "; ".join([lost.reason, *self._also_on(lost.node, one)])
                    message = f"{one.title} is out of reach, and the agent there is lost ({why})"
                    return Event(_code(one), message)

    def _also_on(self, node: str, one: PartTask) -> list[str]:
        """Return that other tasks ran on a node too, if there are any."""
        others = [other.name for other in self.tasks if other.node.name == node and other is not one]
        named = [*others[:_NAMED], *([f"{len(others) - _NAMED} more"] if len(others) > _NAMED else [])]
        return [f"{' and '.join(named)} ran there too"] if named else []

    async def is_reached(self, one: PartTask) -> bool:
        """Return whether another node reaches a task; True where nothing can tell."""
        witnesses = (name for name in self.cluster.agents if name not in self.cluster.lost)
        witness = next(witnesses, None)
        if witness is None or not one.port:
            return True
        try:
            probe = await self.cluster.probe(witness, one.host, one.port, within=_REACHED_WITHIN_S)
        except AgentFailed:
            return True
        return not probe.error

    async def _ended(self, one: PartTask, now: Task | None) -> Event | None:
        if now is not None and now.state == RUNNING:
            return None
        if now is None:
            return Event(_code(one), f"{one.title} was removed from the swarm")
        log = await self.last_lines(one)
        limit = one.part.plan.limits.memory_bytes
        if now.exit_code == _KILLED and limit:
            mib = limit / BYTES_PER_MIB
            message = f"{one.title} was killed by SIGKILL, most likely at its memory limit of {mib:g} MiB"
            return Event("out-of-memory", message, log=log, node=one.node.name)
        return Event(_code(one), f"{one.title} {_how(now)}", log=log)


def _code(one: PartTask) -> str:
    return "app-died" if one.part.role == Role.APP else "stack-failed"


def _how(task: Task) -> str:
    """Return how a task ended, as the predicate of a sentence."""
    code = task.exit_code
    if code is not None and (code or not task.error):
        return describe_exit(_SIGNALLED - code if code > _SIGNALLED else code)
    return f"ended: {task.error}" if task.error else f"is {task.state}"
