"""The only access to the Docker Engine: its blocking SDK, called in worker threads.

A call is abandoned when its caller is cancelled. The engine still executes an abandoned call,
so `pending` counts it and tear-down continues until none is left. The SDK's exceptions are
translated here, and every response is checked here: it becomes a type of `runner.stack.docker.responses`.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import partial
from typing import Final, ParamSpec, TypeVar

import msgspec
import requests.exceptions
import trio
import urllib3.exceptions
from docker.errors import APIError, DockerException

from runner.core.errors import EnvironmentLacks, LoadproofError, StackFailed
from runner.core.units import Seconds
from runner.stack.docker.bounded_client import CALL, BoundedClient, UnusableResponse, progress_items
from runner.stack.docker.responses import Progress, Version
from runner.stack.docker.tcp_client import open_client
from runner.stack.engine_address import WrongAddress, parse_address, tls_context
from runner.stack.engine_context import WrongContext, context_of, current_url

P = ParamSpec("P")
T = TypeVar("T")

_NOT_RESPONDING: Final = (
    DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
_FALSE_HINT: Final = (
    "check that DOCKER_HOST names the socket of a Docker Engine, and that `docker info` works"
)
_ANY_VERSION: Final = "1.24"
"""The oldest that the SDK accepts; the first request does not use it."""
_MAX_REASON: Final = 300
_CONNECTS_WITHIN_S: Final[Seconds] = 5.0

_START_HINT: Final = "start it with `sudo systemctl start docker`, or without systemd with `sudo dockerd &`"


class EngineUnavailable(EnvironmentLacks):
    """There is no usable engine, or it stopped responding."""


class EngineRefused(StackFailed):
    """The engine refused a call, with an HTTP `status` and its own `reason`."""

    def __init__(self, reason: str, *, status: int, hint: str = "") -> None:
        super().__init__(f"the Docker Engine refused: {reason}", hint=hint)
        self.reason = reason
        self.status = status


class Engine:
    """One Docker Engine; a swarm's manager may be on another machine.

    Attributes:
        api: The SDK's client; use it through `call` only.
        base_url: Where it listens.
    """

    def __init__(self, api: BoundedClient, base_url: str) -> None:
        self.api = api
        self.base_url = base_url
        self._running: set[object] = set()
        self._threads = trio.CapacityLimiter(math.inf)  # so that a call either starts or is cancelled

    @property
    def pending(self) -> int:
        """How many calls have not returned, including abandoned ones."""
        return len(self._running)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one blocking call of the SDK in a thread.

        Raises:
            EngineRefused: The engine refused it.
            EngineUnavailable: It did not respond, or sent what is no response.
        """
        token = object()

        def blocking() -> T:
            try:
                return call_sdk(function, *args, **kwargs)
            finally:
                self._running.discard(token)

        await trio.lowlevel.checkpoint_if_cancelled()
        self._running.add(token)
        return await self._in_thread(blocking)

    async def read(
        self, kind: type[T], function: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one blocking call as `call` does, and return its response as a type."""
        return await self.call(read_sdk, kind, partial(function, *args, **kwargs))

    async def look(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call that changes nothing, as `call` does; tear-down waits for no abandoned one."""
        return await self._in_thread(partial(call_sdk, function, *args, **kwargs))

    async def _in_thread(self, blocking: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(blocking, abandon_on_cancel=True, limiter=self._threads)

    async def stream(self, chunks: Generator[bytes, None, None], on_item: Callable[[Progress], None]) -> None:
        """Pass every line of a streamed response to `on_item` as it arrives.

        A build or a pull creates nothing with Loadproof's label and ends with its connection, so
        tear-down does not wait for an abandoned one.
        """
        items = progress_items(chunks)
        while (item := await self._in_thread(partial(call_sdk, next, items, None))) is not None:
            on_item(item)

    def close(self) -> None:
        """Close idle connections."""
        self.api.close()


async def run_concurrently(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run jobs concurrently; the first failure cancels the others and is raised, not as a group."""
    failures: list[LoadproofError] = []

    async def run(job: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            await job()
        except LoadproofError as failure:
            failures.append(failure)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(run, job, nursery.cancel_scope)
    if failures:
        raise failures[0]


async def connect(url: str | None = None, *, elsewhere: bool = False) -> Engine:
    """Connect to an engine: by default to that of DOCKER_HOST or the current context, or else this machine's.

    Args:
        url: Where it listens.
        elsewhere: Whether it may be on another machine: then nothing of it is read from this one's counters.

    Raises:
        EngineUnavailable: There is none, this user may not use it, or it is not on this machine.
    """
    base_url = url or _current_url()
    if elsewhere and not base_url.startswith("unix://"):
        await trio.to_thread.run_sync(check_reachable_elsewhere, base_url, abandon_on_cancel=True)
    else:
        check_reachable(base_url)
    api = await trio.to_thread.run_sync(call_sdk, _open, base_url, abandon_on_cancel=True)
    return Engine(api, base_url)


def call_sdk(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the SDK and translate its exceptions.

    Raises:
        EngineRefused: The engine refused the call.
        EngineUnavailable: It did not respond, or sent what is no response.
    """
    try:
        return function(*args, **kwargs)
    except LoadproofError:
        raise
    except APIError as error:
        reason = str(error.explanation or error)
        raise EngineRefused(reason, status=error.status_code or 500) from error
    except Exception as error:
        cause = _root_cause(error)
        if isinstance(error, _NOT_RESPONDING) and not isinstance(cause, UnusableResponse):
            message = f"the Docker Engine stopped responding ({_text(cause)})"
            raise EngineUnavailable(message, hint=_START_HINT) from error
        # Whatever the SDK stumbles over, such as a missing key, was sent by the engine.
        raise unusable(_text(cause)) from error


def read_sdk(kind: type[T], function: Callable[[], object]) -> T:
    """Call the SDK as `call_sdk` does, and return the response as a type."""
    response = call_sdk(function)
    try:
        return msgspec.convert(response, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise unusable(str(error)) from None


def unusable(reason: str) -> EngineUnavailable:
    """Return the error for a response that is none of a Docker Engine.

    Args:
        reason: Why, as a clause.
    """
    return EngineUnavailable(f"a response of the Docker Engine is not usable: {reason}", hint=_FALSE_HINT)


def _open(base_url: str) -> BoundedClient:
    """Return a client that uses the engine's own version of the API."""
    timeout = round(CALL.silence_s)
    oldest = open_client(base_url, version=_ANY_VERSION, timeout=timeout)
    version = read_sdk(Version, partial(oldest.version, api_version=False))
    oldest.close()
    return open_client(base_url, version=version.api_version, timeout=timeout)


def _current_url() -> str:
    try:
        return current_url()
    except WrongContext as error:
        raise EngineUnavailable(str(error), hint=error.hint) from None


def _how_to_leave(base_url: str) -> str:
    """Return how to use this machine's own engine instead of another machine's."""
    context = context_of(base_url)
    return (
        f"leave the context {context.name} with `docker context use default`"
        if context
        else "unset DOCKER_HOST"
    )


def check_reachable(base_url: str) -> None:
    """Connect to the engine once, for a clear message when that fails.

    Raises:
        EngineUnavailable: Nothing listens, or this user has no permission.
    """
    if not base_url.startswith("unix://"):
        raise EngineUnavailable(
            f"the Docker Engine at {base_url} is not on this machine",
            hint=f"{_how_to_leave(base_url)}: containers are observed through this machine's own counters",
        )
    path = base_url.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_CONNECTS_WITHIN_S)
            client.connect(path)
    except PermissionError as error:
        raise EngineUnavailable(
            f"no permission to use the Docker Engine at {path}",
            hint="`sudo usermod -aG docker $USER` and log in again, or run as root",
        ) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise EngineUnavailable(f"no Docker Engine is running at {path}", hint=_START_HINT) from error
    except OSError as error:
        raise EngineUnavailable(
            f"the Docker Engine at {path} does not respond: {error}", hint=_START_HINT
        ) from error


def check_reachable_elsewhere(base_url: str) -> None:
    """Connect to an engine on another machine once, for a clear message when that fails.

    Raises:
        EngineUnavailable: The address or the certificates are wrong, or nothing responds there.
    """
    try:
        address = parse_address(base_url)
        context = tls_context(address.tls) if address.tls else None
        with socket.create_connection((address.host, address.port), _CONNECTS_WITHIN_S) as client:
            if context:
                context.wrap_socket(client, server_hostname=address.host).close()
    except WrongAddress as error:
        raise EngineUnavailable(str(error), hint=error.hint) from error
    except OSError as error:
        raise EngineUnavailable(
            f"the Docker Engine at {base_url} does not respond: {error}",
            hint="check DOCKER_HOST and DOCKER_CERT_PATH, or the Docker context, and that machine's firewall",
        ) from error


def _root_cause(error: BaseException) -> BaseException:
    """Return the cause below the layers of an HTTP library."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _text(error: BaseException) -> str:
    return str(error)[:_MAX_REASON] or type(error).__name__
