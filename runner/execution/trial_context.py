"""What a trial works with besides its stack and its engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.execution.inputs import NO_RUN_INPUTS, RunInputs
from runner.execution.job import TrialWatcher
from runner.load.site import Site, WorkerSource
from runner.stack.protocols import Guard

if TYPE_CHECKING:  # runs on one machine need none of it
    from runner.cluster.client import Cluster


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What a trial works with besides its stack and its engine.

    Attributes:
        guard: Receives every process that the engine starts.
        watcher: Receives the progress.
        pool: Processes of earlier trials, which the engine may use again.
        inputs: What the requests need; no secret in them gets into the facts.
        site: The machines that send the load; None for this one.
        cluster: The agents that observe nodes; None on one machine.
        helpers: Ids of processes that belong to the runner.
        keep: Receives the files that the engine generates, for the run's archive.
    """

    guard: Guard
    watcher: TrialWatcher
    pool: WorkerSource | None = None
    inputs: RunInputs = NO_RUN_INPUTS
    site: Site | None = None
    cluster: Cluster | None = None
    helpers: tuple[int, ...] = ()
    keep: Callable[[str, bytes], None] | None = None
