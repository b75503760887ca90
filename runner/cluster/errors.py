"""Faults of a cluster, and exceptions that trio's nurseries raise in groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from runner.core.errors import EnvironmentLacks, LoadproofError


class AgentFailed(EnvironmentLacks):
    """An agent is lost, or could not do what it was asked; the message begins with its node's name."""


class HubLost(EnvironmentLacks):
    """The hub is gone, and with it all agents.

    Args:
        message: What happened to it.
        details: The last lines that it wrote.
    """

    def __init__(self, message: str, *, details: tuple[str, ...] = ()) -> None:
        hint = "see that the machine of the hub, which takes the orders of the run, is up and reached"
        super().__init__(message, hint=hint, details=details)


def first_of(error: BaseException) -> BaseException:
    """Return the first exception of a group, however deep; one that is no group is returned itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """Provide a nursery that raises a `LoadproofError`, or any single exception, as it is, not in a group."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        faults = group.split(LoadproofError)[0]
        if faults:
            raise first_of(faults) from None
        first = first_of(group)
        if len(_leaves(group)) == 1:
            raise first from None
        raise


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for one in error.exceptions for leaf in _leaves(one)]
