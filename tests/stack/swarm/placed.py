"""A stack of which only the tasks are said to exist, on nodes with real agents."""

from contextlib import asynccontextmanager

from runner.cluster.errors import open_nursery
from runner.cluster.placement import Node, ResourceLimits, Task, TaskPlan
from runner.stack.swarm.monitor import Monitor
from runner.stack.swarm.parts import PartTask
from runner.stack.swarm.plans import Part
from tests.cluster.conftest import opened
from tests.cluster.in_process import InProcessPlacer

NODES = [Node(name, name, "127.0.0.1", 2, 2**30, "amd64") for name in ("node-1", "node-2")]


class PlacerOfParts(InProcessPlacer):
    """Knows the tasks of a stack as well, and what they wrote."""

    def __init__(self, nursery):
        super().__init__(nursery)
        self.known: dict[str, tuple[Task, ...]] = {}
        self.written: dict[str, tuple[str, ...]] = {}

    async def tasks(self, name):
        return self.known.get(name, ()) if name not in self.plans else await super().tasks(name)

    async def output(self, name, lines):
        return {task.id: self.written.get(name, ())[-lines:] for task in self.known.get(name, ())}


def part_task(port, node=NODES[0], name="app", *, role="app", memory=None, secrets=None) -> PartTask:
    part = Part(role, TaskPlan(name, "sha256:a", limits=ResourceLimits(None, memory)), port, secrets or {})
    return PartTask(name, part, Task(f"task-{name}", 1, node.id, "running"), node, "127.0.0.1", port)


@asynccontextmanager
async def monitored(masked=None):
    """Provide a monitor of no task yet."""
    async with open_nursery() as nursery:
        placer = PlacerOfParts(nursery)
        async with opened(placer) as cluster:
            yield Monitor(placer, cluster, masked or {})
        nursery.cancel_scope.cancel()
