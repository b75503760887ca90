"""k6's REST API on loopback: is it ready, begin now, how many so far.

Only single counters are asked for: a look at all metrics makes k6 sort every latency it holds.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import trio

from runner.core.units import Seconds

_ANSWER_S: Final[Seconds] = 1.0
_PAUSED_BEFORE_RUN: Final = 4
"""k6's execution status once all virtual users exist and ``--paused`` holds the schedule."""

_T = TypeVar("_T")


class ApiSilentError(Exception):
    """k6's REST API does not answer, or not in its own words."""


class Api:
    """Asks one k6; one question at a time.

    Args:
        port: Of the address k6 was told to listen on, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)

    async def is_ready(self) -> bool:
        """Whether the schedule can begin at once. False while there is no answer."""
        try:
            answer = await self._ask(partial(self._attributes, "GET", "/v1/status"))
        except ApiSilentError:
            return False
        return answer is not None and answer.get("status") == _PAUSED_BEFORE_RUN

    async def begin(self) -> None:
        """Let the schedule begin.

        Raises:
            ApiSilentError: Nobody took the order.
        """
        change = {"data": {"type": "status", "id": "default", "attributes": {"paused": False}}}
        answer = await self._ask(partial(self._attributes, "PATCH", "/v1/status", json.dumps(change)))
        if answer is None or answer.get("paused") is not False:
            raise ApiSilentError

    async def counters(self, names: Iterable[str]) -> Mapping[str, int]:
        """Counts since the start; 0 for what has not happened yet.

        Raises:
            ApiSilentError: One of them cannot be read.
        """
        return await self._ask(partial(self._counters, tuple(names)))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    async def _ask(self, question: Callable[[], _T]) -> _T:
        try:
            return await trio.to_thread.run_sync(question, abandon_on_cancel=True)
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
            self._connection.close()
            raise ApiSilentError from error

    def _counters(self, names: tuple[str, ...]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name in names:
            attributes = self._attributes("GET", f"/v1/metrics/{name}")
            counts[name] = 0 if attributes is None else int(attributes["sample"]["count"])
        return counts

    def _attributes(self, method: str, path: str, body: str | None = None) -> dict[str, Any] | None:
        """The attributes of the answer's only item, None when k6 knows no such item."""
        self._connection.request(method, path, body)
        response = self._connection.getresponse()
        content = response.read()
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        attributes = json.loads(content)["data"]["attributes"]
        if not isinstance(attributes, dict):
            raise TypeError
        return attributes


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
