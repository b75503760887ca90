"""The tasks of a service: what the manager reports of them, and what keeps them from running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from runner.cluster.placement import Node, Task, TaskPlan
from runner.core.errors import StackFailed
from runner.stack.docker.engine import Engine
from runner.stack.swarm.responses import TaskDetails, TaskStatus

RUNNING: Final = "running"
REMOVED: Final = "remove"
"""State that is desired of the tasks of a service that was removed."""
ENDED: Final = frozenset({"complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
NO_IMAGE: Final = "No such image"
_NO_NODE: Final = "no suitable node"


async def list_tasks(engine: Engine, filters: Mapping[str, object]) -> tuple[TaskDetails, ...]:
    """Return the tasks that match all filters of the API, such as ``service`` or ``label``.

    Raises:
        EnvironmentLacks: The engine does not answer.
    """
    return await engine.read(tuple[TaskDetails, ...], engine.api.tasks, filters=dict(filters))


def to_tasks(details: Iterable[TaskDetails], names: Mapping[str, str]) -> tuple[Task, ...]:
    """Return tasks by slot; one without, as there is one per node, gets its number by its node's name.

    Args:
        details: What the manager reports.
        names: Node id to name.
    """
    ordered = sorted(details, key=lambda task: (task.slot, names.get(task.node_id, ""), task.id))
    return tuple(_task(task, task.slot or number) for number, task in enumerate(ordered, 1))


def _task(details: TaskDetails, slot: int) -> Task:
    status = details.status
    container = status.container_status
    ended = status.state in ENDED and container is not None and bool(container.container_id)
    return Task(
        id=details.id,
        slot=slot,
        node_id=details.node_id,
        state=status.state,
        error=status.err,
        exit_code=container.exit_code if container and ended else None,
        container_id=container.container_id if container else "",
        pid=container.pid if container else 0,
        addresses=details.addresses,
        ports=_ports(status),
    )


def _ports(status: TaskStatus) -> dict[int, int]:
    ports = status.port_status.ports if status.port_status else None
    return {port.target_port: port.published_port for port in ports or () if port.published_port}


def first_ended(tasks: Iterable[Task]) -> Task | None:
    """Return a task that has ended and will not run any more; None if there is none."""
    return next((task for task in tasks if task.state in ENDED), None)


def without_node(tasks: Iterable[Task]) -> Task | None:
    """Return a task for which the manager finds no node; None if there is none."""
    return next((task for task in tasks if not task.node_id and task.error.startswith(_NO_NODE)), None)


def ended_error(plan: TaskPlan, task: Task, node: Node | None, output: Sequence[str]) -> StackFailed:
    """Return the error for a task that has ended instead of running.

    Args:
        plan: What was placed.
        task: The task.
        node: Where it was placed, None if that is unknown.
        output: The last lines that it wrote.
    """
    where = f" on {node.name}" if node else ""
    reason = task.error or {"complete": "it ended at once with status 0"}.get(task.state, task.state)
    verb = "could not be started" if task.state == "rejected" else "ended at its start"
    message = f"{plan.name} {verb}{where}: {reason}"
    return StackFailed(message, hint=_hint(reason, plan, where), details=tuple(output))


def waiting_error(plan: TaskPlan, tasks: Sequence[Task], nodes: Sequence[Node], within: float) -> StackFailed:
    """Return the error for tasks that do not run in time: what the manager says of those that wait."""
    names = {node.id: node for node in nodes}
    running = sum(task.state == RUNNING for task in tasks)
    waiting = [task for task in tasks if task.state != RUNNING]
    if not waiting:
        message = f"no task of {plan.name} was made within {within:g} s"
        return StackFailed(message, hint=_placement_hint(plan, nodes))
    lines = tuple(dict.fromkeys(_waiting_line(task, names) for task in waiting))
    task = without_node(waiting) or waiting[0]
    message = f"{plan.name} does not run within {within:g} s ({running} of {len(tasks)} tasks do)"
    hint = _placement_hint(plan, nodes) if not task.node_id else _node_hint(names.get(task.node_id))
    return StackFailed(f"{message}: {_waiting_line(task, names)}", hint=hint, details=lines[:5])


def _waiting_line(task: Task, names: Mapping[str, Node]) -> str:
    node = names.get(task.node_id)
    where = f" on {node.name}" if node else ""
    return f"{task.state}{where}" + (f": {task.error}" if task.error else "")


def _placement_hint(plan: TaskPlan, nodes: Sequence[Node]) -> str:
    listed = ", ".join(f"{node.name} ({node.state})" for node in nodes[:10])
    wanted = f"its constraints are {', '.join(plan.constraints)}; " if plan.constraints else ""
    return f"{wanted}the nodes are {listed}: `docker node inspect NODE` shows their labels and resources"


def _node_hint(node: Node | None) -> str:
    if node and node.state != "ready":
        return f"{node.name} is {node.state}: bring it back, or leave it out with a constraint"
    return "`docker node ps NODE` and the log of its engine say more"


def disk_advice(reason: str, where: str) -> str:
    """Return what to do where an engine says that its disk is full; else empty."""
    if "no space left on device" not in reason:
        return ""
    return f"free space on the disk of the engine{where}: `docker system df` there shows what uses it"


def _hint(reason: str, plan: TaskPlan, where: str) -> str:
    if "No such image" in reason or ("not found" in reason and plan.image in reason):
        return (
            f"bring the image{where} with `docker save {plan.image} | ssh NODE docker load`, "
            "or name a registry that all nodes reach"
        )
    if "bind source path does not exist" in reason:
        return f"the folder does not exist{where}"
    if advice := disk_advice(reason, where):
        return advice
    if "port" in reason and "already" in reason:
        return "another program there uses the port: choose another one, or stop that program"
    return ""
