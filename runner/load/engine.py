"""What an engine is: one function from an order to facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from runner.core.facts import Endpoint, LoadFacts, LoadSecond, Window
from runner.experiment.model import Load, Stage


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """One stage to offer to one endpoint.

    Attributes:
        keep: Takes name and content of what an engine makes from it, for the run's archive.
    """

    endpoint: Endpoint
    load: Load
    stage: Stage
    keep: Callable[[str, bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """The engine's processes are up and its first request lies a moment ahead.

    Attributes:
        pids: The processes whose CPU is the generator's.
        window: When the warm-up, the measured window and its end happen.
    """

    pids: tuple[int, ...]
    window: Window


class Engine(Protocol):
    """Offers one stage.

    Args:
        order: What to offer, and where.
        on_spawn: Told the pid of every process the moment it exists, so that a watchdog can
            end it should the runner be killed.
        on_second: Given every second as soon as all workers reported it. What it was given
            is all that remains of a stage that is cancelled.
        task_status: Told `LoadStarted` about 100 ms before the first request is due, so
            that witnesses can take their first look.

    Returns:
        Facts of the whole stage; returns only when every process has ended.

    Raises:
        EnvironmentLacks: The engine cannot run here. Raised before `task_status.started`.
    """

    async def __call__(
        self,
        order: LoadOrder,
        *,
        on_spawn: Callable[[int], None],
        on_second: Callable[[LoadSecond], None],
        task_status: trio.TaskStatus[LoadStarted] = trio.TASK_STATUS_IGNORED,
    ) -> LoadFacts: ...
