"""k6's REST API on loopback: wait until it is ready, start the schedule, read counters.

Counters are read one by one: for a list of all metrics, k6 sorts every latency it holds.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import trio

from runner.core.units import BYTES_PER_MIB, Bytes, Seconds

_TIMEOUT_S: Final[Seconds] = 1.0
_CALL_S: Final[Seconds] = 3.0
_MAX_BYTES: Final[Bytes] = BYTES_PER_MIB
_MAX_COUNT: Final = 10**15
_MALFORMED: Final = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
_PAUSED_BEFORE_RUN: Final = 4
"""k6's execution status once all virtual users exist and ``--paused`` holds the schedule."""

_T = TypeVar("_T")


class ApiSilentError(Exception):
    """k6's REST API does not respond, or its response is malformed."""


class Api:
    """A client for one k6; one call at a time.

    Args:
        port: Where k6 listens, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    async def is_ready(self) -> bool:
        """Return whether the schedule can begin at once; False while k6 does not respond."""
        try:
            status = await self._in_thread(partial(self._attributes, "GET", "/v1/status"))
        except ApiSilentError:
            return False
        return status is not None and status.get("status") == _PAUSED_BEFORE_RUN

    async def begin(self) -> None:
        """Start the schedule.

        Raises:
            ApiSilentError: k6 did not confirm it.
        """
        change = {"data": {"type": "status", "id": "default", "attributes": {"paused": False}}}
        status = await self._in_thread(partial(self._attributes, "PATCH", "/v1/status", json.dumps(change)))
        if status is None or status.get("paused") is not False:
            raise ApiSilentError

    async def counters(self, names: Iterable[str]) -> Mapping[str, int]:
        """Return counts since the start; 0 for what has not happened yet.

        Raises:
            ApiSilentError: One of them cannot be read.
        """
        return await self._in_thread(partial(self._counters, tuple(names)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        try:
            with trio.fail_after(_CALL_S):
                return await trio.to_thread.run_sync(call, abandon_on_cancel=True)
        except (*_MALFORMED, OSError, http.client.HTTPException, trio.TooSlowError) as error:
            self._connection.close()
            raise ApiSilentError from error

    def _counters(self, names: tuple[str, ...]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name in names:
            attributes = self._attributes("GET", f"/v1/metrics/{name}")
            counts[name] = 0 if attributes is None else int(attributes["sample"]["count"])
            if not 0 <= counts[name] <= _MAX_COUNT:
                raise ValueError(name)
        return counts

    def _attributes(self, method: str, path: str, body: str | None = None) -> dict[str, Any] | None:
        """Return the attributes of the response's only item, None if k6 knows no such item."""
        self._connection.request(method, path, body)
        response = self._connection.getresponse()
        content = response.read(_MAX_BYTES)
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        attributes = json.loads(content)["data"]["attributes"]
        if not isinstance(attributes, dict):
            raise TypeError
        return attributes


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
