"""The one seam to the Docker Engine: its blocking SDK behind a thread adapter.

Every call runs in a worker thread and may be abandoned when its caller is cancelled. An
abandoned call still happens at the engine, so `pending` counts them and tear-down goes on
looking until none is left. The SDK's exceptions end here.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import requests.exceptions
import trio
from docker import APIClient
from docker.errors import APIError, DockerException

from runner.core.errors import EnvironmentLacks, LoadproofError, StackFailed

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URL: Final = "unix:///var/run/docker.sock"
_CALL_TIMEOUT_S: Final = 60
_POOLS: Final = 10_000
"""The SDK keeps a pool per URL and throws the oldest away, whether it is in use or not."""

_START_HINT: Final = (
    "start it with `sudo systemctl start docker`; where there is no systemd, with `sudo dockerd &`"
)


class EngineGone(EnvironmentLacks):
    """There is no engine that answers (any more)."""


class EngineRefused(StackFailed):
    """The engine answered no; `status` is HTTP's and `reason` the engine's own words."""

    def __init__(self, reason: str, *, status: int, hint: str = "") -> None:
        super().__init__(f"the Docker Engine refused: {reason}", hint=hint)
        self.reason = reason
        self.status = status


class Engine:
    """One Docker Engine on this machine.

    Attributes:
        api: The SDK's client, to be called through `call` only.
        base_url: Where it listens.
    """

    def __init__(self, api: APIClient, base_url: str) -> None:
        self.api = api
        self.base_url = base_url
        self._under_way: set[object] = set()
        self._threads = trio.CapacityLimiter(math.inf)  # so that a call either starts or is cancelled

    @property
    def pending(self) -> int:
        """Calls that have not come back, abandoned ones included."""
        return len(self._under_way)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one blocking call of the SDK in a thread.

        Raises:
            EngineRefused: The engine said no.
            EngineGone: It did not answer.
        """
        token = object()

        def blocking() -> T:
            try:
                return translated(function, *args, **kwargs)
            finally:
                self._under_way.discard(token)

        await trio.lowlevel.checkpoint_if_cancelled()
        self._under_way.add(token)
        return await self._in_thread(blocking)

    async def _in_thread(self, blocking: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(blocking, abandon_on_cancel=True, limiter=self._threads)

    async def stream(self, items: Iterator[T], on_item: Callable[[T], None]) -> None:
        """Take every item of a streamed answer as it comes.

        A build or a pull creates nothing with our label and ends with its connection, so an
        abandoned one is not waited for.
        """
        while (item := await self._in_thread(partial(translated, next, items, None))) is not None:
            on_item(item)

    def close(self) -> None:
        """Close idle connections."""
        self.api.close()


async def together(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run jobs at the same time; the first fault ends the others and is raised bare."""
    faults: list[LoadproofError] = []

    async def run(job: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            await job()
        except LoadproofError as fault:
            faults.append(fault)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(run, job, nursery.cancel_scope)
    if faults:
        raise faults[0]


async def connect() -> Engine:
    """The engine that DOCKER_HOST names, or this machine's default one.

    Raises:
        EngineGone: There is none, it may not be used, or it is not on this machine.
    """
    base_url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    knock(base_url)
    api = await trio.to_thread.run_sync(_open, base_url, abandon_on_cancel=True)
    return Engine(api, base_url)


def translated(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the SDK, its exceptions turned into ours."""
    try:
        return function(*args, **kwargs)
    except APIError as error:
        reason = str(error.explanation or error)
        raise EngineRefused(reason, status=error.status_code or 500) from error
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        message = f"the Docker Engine does not answer any more ({_innermost(error)})"
        raise EngineGone(message, hint=_START_HINT) from error


def _open(base_url: str) -> APIClient:
    return translated(APIClient, base_url=base_url, version="auto", timeout=_CALL_TIMEOUT_S, num_pools=_POOLS)


def knock(base_url: str) -> None:
    """Find out in one connect what a person has to be told.

    Raises:
        EngineGone: Nobody answers, or it is not for us.
    """
    if not base_url.startswith("unix://"):
        raise EngineGone(
            f"the Docker Engine at {base_url} is not on this machine",
            hint="containers are watched through this machine's own counters: unset DOCKER_HOST",
        )
    path = base_url.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(5.0)
            knocking.connect(path)
    except PermissionError as error:
        raise EngineGone(
            f"no permission to use the Docker Engine at {path}",
            hint="`sudo usermod -aG docker $USER` and log in again, or run as root",
        ) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise EngineGone(f"no Docker Engine runs at {path}", hint=_START_HINT) from error
    except OSError as error:
        raise EngineGone(f"the Docker Engine at {path} does not answer: {error}", hint=_START_HINT) from error


def _innermost(error: BaseException) -> str:
    """The cause a person can read, below the layers of an HTTP library."""
    seen: Any = error
    while seen.__cause__ or seen.__context__:
        seen = seen.__cause__ or seen.__context__
    return str(seen) or type(seen).__name__
