"""Sleeping until an instant of the trial's schedule."""

from __future__ import annotations

import time

import trio

from runner.core.units import NS_PER_S, Nanoseconds


async def sleep_until(instant_ns: Nanoseconds) -> None:
    """Sleep until an instant on CLOCK_MONOTONIC, not at all if it has passed, so that no drift adds up."""
    await trio.sleep(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S))
