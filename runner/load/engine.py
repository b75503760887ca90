"""The interface of an engine: one function from an order to facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import trio

from runner.core.compact import CompactList
from runner.core.endpoint import Endpoint
from runner.core.facts import Window
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.node_facts import NodeLoad
from runner.experiment.arrivals import NO_ARRIVALS, Numbering
from runner.experiment.model import Load, Stage
from runner.load.inputs import NO_INPUTS, Inputs

if TYPE_CHECKING:
    from runner.load.site import Site, WorkerSource


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """One stage to offer to one endpoint.

    Attributes:
        inputs: Values of variables and contents of files that the requests need.
        keep: Called with the name and content of files that the engine makes, for the run's archive.
        pool: Worker processes of earlier stages; None to start some for this stage alone.
        site: The machines that offer the stage; None for this one.
        numbering: Where the values of variables begin.
        seconds: Where the engine keeps the seconds of the stage. One that is cancelled leaves them there.
    """

    endpoint: Endpoint
    load: Load
    stage: Stage
    keep: Callable[[str, bytes], None] | None = None
    pool: WorkerSource | None = None
    site: Site | None = None
    inputs: Inputs = NO_INPUTS
    numbering: Numbering = NO_ARRIVALS
    seconds: CompactList[LoadSecond] = field(
        default_factory=partial(CompactList, LoadSecond), compare=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """The engine's processes are running, and its first request is due in a moment.

    Attributes:
        pids: The processes of this machine whose CPU is the generator's.
        window: When the warm-up and the measured window begin, and when it ends.
        on_nodes: Name of a node to the generator's processes on it: ``generator-1`` to a pid there.
        nodes_so_far: Returns each node's part as far as it was reported, for a stage that is interrupted.
    """

    pids: tuple[int, ...]
    window: Window
    on_nodes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    nodes_so_far: Callable[[], tuple[NodeLoad, ...]] = tuple


class Engine(Protocol):
    """Offers one stage.

    Args:
        order: What to offer, and where.
        on_spawn: Called with the pid of every process as soon as it exists, so that a watchdog can end
            it if the runner is killed.
        on_second: Called with every second as soon as all workers have reported it.
        task_status: Receives `LoadStarted` about 100 ms before the first request is due, in time for the
            first reading of all counters.

    Returns:
        Facts of the whole stage, after every process has ended or waits in the pool.

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
