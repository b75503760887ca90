"""The tasks of a run: what the manager reports of them by node, and waiting until they run or have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import trio

from runner.cluster.placement import Node, Task, TaskPlan
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable
from runner.stack.swarm.logs import last_lines
from runner.stack.swarm.manager import list_nodes
from runner.stack.swarm.naming import plan_label
from runner.stack.swarm.node_choice import ready_nodes
from runner.stack.swarm.responses import TaskDetails
from runner.stack.swarm.shared_look import LOOK_INTERVAL_S, SharedLook
from runner.stack.swarm.tasks import (
    ENDED,
    REMOVED,
    RUNNING,
    ended_error,
    first_ended,
    list_tasks,
    to_tasks,
    waiting_error,
    without_node,
)

_NO_NODE_WITHIN_S: Final[Seconds] = 10.0
"""How long the manager may find no node: another run's tasks may just be on their way out."""
_FIRST_LOOK_S: Final[Seconds] = 0.3
"""No task runs, and none is refused, sooner."""
_OUTPUT_WITHIN_S: Final[Seconds] = 5.0
_QUOTED_LINES: Final = 5


class RunTasks:
    """The tasks of one run and the nodes of its swarm.

    Args:
        engine: A manager's.
        run_id: Of the run.
        own_id: The id of that manager's node.
    """

    def __init__(self, engine: Engine, run_id: str, own_id: str) -> None:
        self.own_id = own_id
        self._engine, self._run_id = engine, run_id
        self._look = SharedLook(engine, run_id)
        self._nodes: Mapping[str, Node] = {}

    async def nodes(self) -> tuple[Node, ...]:
        """Return all nodes, those that are not ready included, by name."""
        nodes = await list_nodes(self._engine)
        self._nodes = {node.id: node for node in nodes}
        return nodes

    async def own_node(self) -> Node:
        """Return the manager's node.

        Raises:
            EnvironmentLacks: It has left the swarm.
        """
        if self.own_id not in self._nodes:
            await self.nodes()
        try:
            return self._nodes[self.own_id]
        except KeyError:
            url = self._engine.base_url
            raise EnvironmentLacks(f"the Docker Engine at {url} is no node of a swarm any more") from None

    async def wait_running(self, plan: TaskPlan, service: str, within: Seconds) -> tuple[Task, ...]:
        """Return the tasks of a service when all of them run.

        Args:
            plan: That the service was made from.
            service: Its id.
            within: Seconds from now.

        Raises:
            StackFailed: One has ended, or does not run in time; the message contains its node and what the
                engine says.
        """
        began = trio.current_time()
        wanted = await self._wanted(plan)
        await trio.sleep_until(began + _FIRST_LOOK_S)
        while True:
            tasks = await self._named(await self._look.tasks_of(service))
            waited = trio.current_time() - began
            if ended := first_ended(tasks):
                raise await self._ended(plan, ended)
            if wanted and len(tasks) >= wanted and all(task.state == RUNNING for task in tasks):
                return tasks
            hopeless = without_node(tasks) or (plan.one_per_node and not wanted)
            if waited > (min(within, _NO_NODE_WITHIN_S) if hopeless else within):
                raise waiting_error(plan, tasks, await self.nodes(), round(waited, 1))
            await trio.sleep(LOOK_INTERVAL_S)

    async def wait_ended(self, plan: TaskPlan, service: str, within: Seconds) -> tuple[Task, ...]:
        """Return the tasks of a service when all of them have ended, or as they are when time is up."""
        wanted, began = await self._wanted(plan), trio.current_time()
        while True:
            tasks = await self._named(await self._look.tasks_of(service))
            ended = sum(task.state in ENDED for task in tasks)
            if ended >= wanted or trio.current_time() > began + within:
                return tasks
            await trio.sleep(LOOK_INTERVAL_S)

    async def of_plan(self, name: str) -> tuple[Task, ...]:
        """Return the tasks of a plan as they are now, by slot and node; empty if there is no such plan.

        Those of a removed plan of this name, which stay on nodes that are down, are not among them.
        """
        tasks = await list_tasks(self._engine, {"label": plan_label(self._run_id, name)})
        return await self._named([task for task in tasks if task.desired_state != REMOVED])

    async def output(self, name: str, lines: int) -> Mapping[str, tuple[str, ...]]:
        """Return the last lines of each task of a plan, by task id; empty where there are none."""
        found: dict[str, tuple[str, ...]] = {}

        async def read(task: Task) -> None:
            found[task.id] = await self._output_of(task, lines)

        async with trio.open_nursery() as nursery:
            for task in await self.of_plan(name):
                nursery.start_soon(read, task)
        return found

    async def _wanted(self, plan: TaskPlan) -> int:
        """Return how many tasks a plan has."""
        if not plan.one_per_node:
            return plan.replicas
        return len(ready_nodes(await self.nodes(), plan.constraints))

    async def _ended(self, plan: TaskPlan, task: Task) -> StackFailed:
        node = next((node for node in await self.nodes() if node.id == task.node_id), None)
        output = await self._output_of(task, _QUOTED_LINES) if task.container_id else ()
        return ended_error(plan, task, node, output)

    async def _named(self, details: Sequence[TaskDetails]) -> tuple[Task, ...]:
        if any(task.node_id and task.node_id not in self._nodes for task in details):
            await self.nodes()
        return to_tasks(details, {node.id: node.name for node in self._nodes.values()})

    async def _output_of(self, task: Task, lines: int) -> tuple[str, ...]:
        with trio.move_on_after(_OUTPUT_WITHIN_S):
            try:
                return await self._engine.look(last_lines, self._engine.api, task.id, lines)
            except (EngineRefused, EngineUnavailable):
                return ()
        return ()
