"""One question to the manager for all tasks of a run, however many programs are waited for."""

from __future__ import annotations

from typing import Final

import trio

from runner.core.units import Seconds
from runner.stack.docker import labels
from runner.stack.docker.engine import Engine
from runner.stack.swarm.responses import TaskDetails
from runner.stack.swarm.tasks import list_tasks

LOOK_INTERVAL_S: Final[Seconds] = 0.15


class SharedLook:
    """The tasks of a run, at most a look's interval old.

    Args:
        engine: A manager's.
        run_id: Of the run.
    """

    def __init__(self, engine: Engine, run_id: str) -> None:
        self._engine, self._filters = engine, {"label": [f"{labels.RUN}={run_id}"]}
        self._asking = trio.Lock()
        self._asked_at = float("-inf")
        self._tasks: tuple[TaskDetails, ...] = ()

    async def tasks_of(self, service: str) -> tuple[TaskDetails, ...]:
        """Return the tasks of a service by its id.

        Raises:
            EnvironmentLacks: The engine does not answer.
        """
        async with self._asking:
            now = trio.current_time()
            if now - self._asked_at > LOOK_INTERVAL_S / 2:
                self._tasks = await list_tasks(self._engine, self._filters)
                self._asked_at = now
        return tuple(task for task in self._tasks if task.service_id == service)
