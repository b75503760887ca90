"""Watches which programs outside the experiment use the CPU of this host, and how busy their threads are."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.facts import Window
from runner.core.observed_facts import Program, Subject
from runner.core.units import NS_PER_S, Seconds
from runner.observe.clock import sleep_until
from runner.observe.programs.busiest_thread import BusiestThreads
from runner.observe.programs.by_name import programs
from runner.observe.programs.membership import experiment_of
from runner.observe.programs.process_table import MAX_PROCESSES, ProcessTable
from runner.observe.roots import proc

_BUSIEST: Final = 8
"""Processes whose threads are read."""
_HIDDEN: Final = (
    "processes of other users are hidden on this host (hidepid), so other programs that use its CPU are not "
    "named"
)


@dataclass(slots=True)
class Programs:
    """The programs outside the experiment in one trial.

    Args:
        subjects: All watched subjects.
        window: The trial's parts.
        max_cost: Share of a core that all readings together may use; the interval grows until it is kept.
    """

    subjects: Sequence[Subject]
    window: Window
    max_cost: float = 0.01
    _table: ProcessTable | None = None
    _threads: BusiestThreads = field(default_factory=BusiestThreads)

    async def watch(self) -> None:
        """Read once a second until the window ends, less often where that costs too much; never raises."""
        await sleep_until(self.window.measure_ns)
        self._table = table = ProcessTable(experiment_of(self.subjects))
        try:
            next_ns = self.window.measure_ns
            while next_ns < self.window.end_ns:
                await sleep_until(next_ns)
                cost_s = await trio.to_thread.run_sync(self._read, table)
                next_ns += max(1, math.ceil(cost_s / self.max_cost)) * NS_PER_S
            await sleep_until(self.window.end_ns)
        finally:  # also when the system under test failed
            table.read()
            self._threads.read(_busiest(table), again=True)

    def found(self, ports: Mapping[int, int]) -> tuple[Program, ...]:
        """Return the busiest programs, and those that serve the app.

        Args:
            ports: Process to the port at which it serves the app, 0 for a Unix socket.
        """
        return programs(self._table, self._threads, ports) if self._table else ()

    def notes(self) -> tuple[str, ...]:
        """Return what is missing, as sentences without a full stop."""
        if not os.access(f"{proc()}/1/stat", os.R_OK):
            return (_HIDDEN,)
        if self._table is not None and not self._table.is_complete:
            return (f"only {MAX_PROCESSES:,} processes of this host were looked at",)
        return ()

    def _read(self, table: ProcessTable) -> Seconds:
        """Read the table once; return the CPU time that this took."""
        begin_s = time.thread_time()
        table.read()
        self._threads.read(_busiest(table), again=False)
        return time.thread_time() - begin_s


def _busiest(table: ProcessTable) -> list[int]:
    return [usage.pid for usage in table.usages()[:_BUSIEST]]
