"""Lets one user go through a scenario, in a process of its own, and passes on what happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.load.addresses import resolve
from runner.load.engine import LoadOrder
from runner.load.scenario_translation import scenario_order
from runner.load.site import ThisMachine
from runner.load.try_records import Finished, TryRecord, decode_record
from runner.load.try_worker import TryOrder
from runner.load.worker_order import WorkerOrder
from runner.load.worker_parts import worker_order
from runner.load.worker_process import WorkerPool

_MODULE: Final = "runner.load.try_worker"


def try_processes() -> WorkerPool:
    """Return where the process waits between two scenarios."""
    return WorkerPool(_MODULE)


async def try_user(
    order: LoadOrder,
    on_record: Callable[[TryRecord], None],
    *,
    on_spawn: Callable[[int], None],
    pauses: bool,
    alternative: int = 0,
) -> None:
    """Go through the first scenario of a load once.

    Args:
        order: Its pool is that of `try_processes`.
        on_record: Called with everything that happens; the last record says how it ended.
        on_spawn: Called with the pid of the process if it is on this machine.
        pauses: Whether the user waits in pauses.
        alternative: Which alternative of each choice is taken, from 0; steps with a probability always are.

    Raises:
        EnvironmentLacks: The process ended before the scenario did.
    """
    told = await trio.to_thread.run_sync(_told, order)
    assert order.pool is not None
    site = order.site or ThisMachine(order.pool, on_spawn)
    async with site.open_single(_MODULE, told) as (process, told):
        with suppress(trio.BrokenResourceError):
            await process.write_line(TryOrder(told, pauses, alternative).to_json())
            while line := await process.read_line():
                record = decode_record(line)
                on_record(record)
                if isinstance(record, Finished):
                    process.waits = True
                    return
        await process.wait()
    raise EnvironmentLacks(
        f"the process that sends requests ended (exit status {process.returncode})",
        hint="try again; if it fails again, see its output above",
    )


def _told(order: LoadOrder) -> WorkerOrder:
    return worker_order(order, 0, 1, resolve(order.endpoint)[0], scenario_order(order))
