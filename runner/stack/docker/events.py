"""Receives the engine's own events for as long as a stage takes, without polling or a thread.

The SDK's event stream would occupy a thread for the whole stage and cannot be closed cleanly
while that thread reads, so this one request is sent over the socket directly.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import trio

from runner.stack.docker.bounded_client import HEAD_WITHIN_S, MAX_LINE, UnusableResponse, decode
from runner.stack.docker.engine import Engine, EngineUnavailable, unusable
from runner.stack.docker.responses import ContainerEvent


class EventStream:
    """The engine's events, one at a time."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._unread = b""

    async def next(self) -> ContainerEvent | None:
        """Wait for the next event; return None when the engine has ended.

        Raises:
            EngineUnavailable: What it sends is no event.
        """
        line = await self.read_until(b"\n")
        if line is None:
            return None
        try:
            event: ContainerEvent = decode(line, ContainerEvent)
        except UnusableResponse as error:
            raise unusable(str(error)) from None
        return event

    async def read_until(self, end: bytes) -> bytes | None:
        """Return everything up to and including `end`, None if the stream ends before.

        Raises:
            EngineUnavailable: It is larger than a line may be.
        """
        while end not in self._unread:
            if len(self._unread) > MAX_LINE:
                raise unusable("one of its lines is larger than 1 MiB")
            try:
                received = await self._stream.receive_some()
            except trio.BrokenResourceError:
                return None
            if not received:
                return None
            self._unread += received
        head, _, self._unread = self._unread.partition(end)
        return head + end


@asynccontextmanager
async def subscribe(engine: Engine, filters: Mapping[str, list[str]]) -> AsyncIterator[EventStream]:
    """Receive every event from now on that matches the filters.

    Raises:
        EngineUnavailable: The engine does not respond.
    """
    path = f"/v{engine.api.api_version}/events?filters={quote(json.dumps(filters))}"
    try:
        stream = await trio.open_unix_socket(engine.base_url.removeprefix("unix://"))
    except OSError as error:
        raise EngineUnavailable(f"the Docker Engine stopped responding ({error})") from error
    async with stream:
        events = EventStream(stream)
        head = None
        try:
            # HTTP/1.0, so that events arrive as lines and not as chunks of lines
            await stream.send_all(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        except trio.BrokenResourceError as error:
            raise EngineUnavailable("the Docker Engine stopped responding") from error
        with trio.move_on_after(HEAD_WITHIN_S):
            head = await events.read_until(b"\r\n\r\n")
        if head is None:
            raise EngineUnavailable("the Docker Engine stopped responding")
        yield events
