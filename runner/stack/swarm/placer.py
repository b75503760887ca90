"""Places programs on the nodes of a Docker Swarm: implements `runner.cluster.placement.Placer`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from runner.cluster.placement import BindMount, Node, PlacedFile, Task, TaskPlan
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.images import Supplier
from runner.stack.docker.responses import Created
from runner.stack.protocols import StackContext
from runner.stack.swarm.files import check_files, create_files
from runner.stack.swarm.hub_container import HubChannel, start_hub
from runner.stack.swarm.manager import connect_to_manager, plain_reason
from runner.stack.swarm.naming import NETWORK_ROLE, object_labels, object_name, plan_label
from runner.stack.swarm.removal import remove_plan, remove_swarm_run, sweep_swarm
from runner.stack.swarm.responses import CreatedObject
from runner.stack.swarm.run_tasks import RunTasks
from runner.stack.swarm.service_spec import service_spec
from runner.stack.swarm.task_ends import TaskEnds
from runner.stack.watchdog_docker import SWARM

_REMOVED_WITHIN_S: Final[Seconds] = 30.0
_NAMED: Final = 5


class SwarmPlacer:
    """Places programs of one run.

    Args:
        engine: A manager's.
        run_id: The run, part of every label and name.
        supplier: Obtains images for that engine.
        own_id: The id of that manager's node.

    Attributes:
        is_emptied: Whether the manager has nothing of the run any more: the swarm itself then removes what is
            on nodes that are down.
    """

    def __init__(self, engine: Engine, run_id: str, supplier: Supplier, own_id: str) -> None:
        self.engine = engine
        self.run_id = run_id
        self.supplier = supplier
        self.is_emptied = False
        self._hubs: list[HubChannel] = []
        self._networks: set[str] = set()
        self._making_network = trio.Lock()
        self._tasks = RunTasks(engine, run_id, own_id)
        self._ends = TaskEnds(engine)
        self._ending: set[str] = set()

    async def nodes(self) -> tuple[Node, ...]:
        """Return all nodes, those that are not ready included, by name."""
        return await self._tasks.nodes()

    async def own_node(self) -> Node:
        """Return the manager's node.

        Raises:
            EnvironmentLacks: It has left the swarm.
        """
        return await self._tasks.own_node()

    async def network(self, name: str) -> str:
        """Return the run's network of this name, which spans all nodes; it is made on the first call.

        Raises:
            StackFailed: The manager refuses it.
        """
        whole = object_name(self.run_id, name)
        async with self._making_network:
            if whole not in self._networks:
                await self._make_network(whole)
                self._networks.add(whole)
        return whole

    async def _make_network(self, name: str) -> None:
        create = partial(
            self.engine.api.create_network,
            name,
            driver="overlay",
            attachable=True,
            labels=object_labels(self.run_id, NETWORK_ROLE),
        )
        try:
            await self.engine.read(Created, create)
        except EngineRefused as refused:
            raise StackFailed(
                f"the swarm does not make the network {name}: {plain_reason(refused.reason)}",
                hint="`docker network prune` on a manager removes unused ones",
            ) from refused

    async def place(self, plan: TaskPlan, *, within: Seconds) -> tuple[Task, ...]:
        """Place a program, and return its tasks when all of them run.

        Raises:
            StackFailed: A task failed, was rejected, or does not run `within` seconds; the message contains
                its node and what the engine says. Nothing of the plan is left then but tasks that are ending.
        """
        check_files(plan.files)
        try:
            service = await self._create(plan)
            return await self._tasks.wait_running(plan, service, within)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.remove(plan.name, wait=False)
            raise

    async def _create(self, plan: TaskPlan) -> str:
        api = self.engine.api
        try:
            files = await create_files(self.engine, self.run_id, plan.name, plan.files)
            body = service_spec(plan, self.run_id, files)
            response = await self.engine.read(CreatedObject, api.post_json, "/services/create", body)
        except EngineRefused as refused:
            reason = plain_reason(refused.reason)
            raise StackFailed(f"the swarm does not take {plan.name}: {reason}") from refused
        return response.id

    async def reasons(self, plan: TaskPlan, *, within: Seconds) -> Mapping[str, str]:
        """Place a program that ends at once, once on each node; return node id to what the engine says of it.

        Raises:
            StackFailed: The swarm does not take it.
        """
        try:
            service = await self._create(plan)
            tasks = await self._tasks.wait_ended(plan, service, within)
            return {task.node_id: task.error for task in tasks}
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(_REMOVED_WITHIN_S):
                await remove_plan(self.engine, plan_label(self.run_id, plan.name))

    async def tasks(self, name: str) -> tuple[Task, ...]:
        """Return the tasks of a plan as they are now, by slot and node; empty if there is no such plan.

        Those of a removed plan of this name, which stay on nodes that are down, are not among them.
        """
        return await self._tasks.of_plan(name)

    def hub_node(self) -> str:
        """Return the id of the manager's node."""
        return self._tasks.own_id

    async def start_hub(
        self,
        *,
        image: str,
        command: Sequence[str],
        network: str | None,
        files: Sequence[PlacedFile] = (),
        mounts: Sequence[BindMount] = (),
    ) -> HubChannel:
        """Start the program that all agents connect to, on the manager that takes the orders of this run.

        Raises:
            StackFailed: It could not be started.
        """
        hub = await start_hub(
            self.engine,
            self.run_id,
            image=image,
            command=command,
            network=network,
            files=files,
            mounts=mounts,
            node=await self.own_node(),
        )
        self._hubs.append(hub)
        return hub

    async def output(self, name: str, lines: int) -> Mapping[str, tuple[str, ...]]:
        """Return the last lines of each task of a plan, by task id; empty where there are none."""
        return await self._tasks.output(name, lines)

    async def remove(self, name: str, *, wait: bool = True) -> None:
        """Remove a program; waits half a minute at most.

        Args:
            name: Of its plan.
            wait: Whether its tasks have ended then; `wait_removed` and `remove_all` wait for the others.

        Raises:
            EnvironmentLacks: The manager does not answer.
        """
        if not wait:
            self._ending.add(name)
        with trio.move_on_after(_REMOVED_WITHIN_S):
            await remove_plan(self.engine, plan_label(self.run_id, name), self._ends if wait else None)

    async def wait_removed(self) -> None:
        """Wait for the end of the tasks that `remove` did not wait for; half a minute at most.

        Raises:
            EnvironmentLacks: The manager does not answer.
        """
        with trio.move_on_after(_REMOVED_WITHIN_S):
            for name in tuple(self._ending):
                await self._ends.wait(plan_label(self.run_id, name))
                self._ending.discard(name)

    async def remove_all(self) -> str:
        """Remove everything of the run; returns what is left, empty for nothing. Takes half a minute."""
        for hub in self._hubs:
            await hub.aclose()
        left: list[str] = []
        with trio.move_on_after(_REMOVED_WITHIN_S):
            try:
                on_nodes = await remove_swarm_run(self.engine, self.run_id, self._ends, left)
            except EnvironmentLacks as error:
                return f"objects of the swarm: {error.message}"
            self.is_emptied = True
            return on_nodes
        names = ", ".join(left[:_NAMED]) or "containers that the swarm does not list"
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        return f"{names}{more}: the swarm did not remove them within {_REMOVED_WITHIN_S:g} s"


@asynccontextmanager
async def open_placer(context: StackContext) -> AsyncIterator[SwarmPlacer]:
    """Connect to a manager, and remove everything of the run at the end, whatever happens.

    Raises:
        EnvironmentLacks: There is no manager that may be used.
    """
    engine, own_id = await connect_to_manager()
    placer = SwarmPlacer(engine, context.run_id, Supplier.of(engine, context), own_id)
    url = SWARM + engine.base_url
    try:
        await _sweep(engine, context)
        context.guard.docker(url)
        yield placer
    finally:
        with trio.CancelScope(shield=True):
            left = await placer.remove_all()
        engine.close()
        if left:
            advice = "" if placer.is_emptied else "; `runner clean` removes what is left"
            context.say(f"left on the swarm: {left}{advice}")
        if placer.is_emptied:
            context.guard.docker_emptied(url)


async def _sweep(engine: Engine, context: StackContext) -> None:
    """Remove what killed runs left behind; continue if that fails."""
    try:
        removed = await sweep_swarm(engine)
    except StackFailed as failed:
        context.say(failed.message)
        return
    if removed:
        context.say(f"removed what an earlier run left behind: {', '.join(removed)}")
