"""The engine's own news, for as long as a stage takes: nothing is polled, no thread waits.

The SDK's event stream would hold a thread for the whole stage and cannot be closed cleanly
while that thread reads, so this one request is spoken over the socket itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import trio

from runner.stack.docker.engine import Engine, EngineGone


class News:
    """What the engine reports, one event at a time."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._unread = b""

    async def next(self) -> Mapping[str, Any] | None:
        """Wait for the next event; None when the engine has ended."""
        line = await self.until(b"\n")
        if line is None:
            return None
        event: Mapping[str, Any] = json.loads(line)
        return event

    async def until(self, end: bytes) -> bytes | None:
        """Everything up to and with `end`, None when there will be no more of it."""
        while end not in self._unread:
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
async def listen(engine: Engine, filters: Mapping[str, list[str]]) -> AsyncIterator[News]:
    """Hear of every event from now on that the filters let through.

    Raises:
        EngineGone: The engine does not answer.
    """
    path = f"/v{engine.api.api_version}/events?filters={quote(json.dumps(filters))}"
    try:
        stream = await trio.open_unix_socket(engine.base_url.removeprefix("unix://"))
    except OSError as error:
        raise EngineGone(f"the Docker Engine does not answer any more ({error})") from error
    async with stream:
        news = News(stream)
        # HTTP/1.0, so that events come as lines and not as chunks of lines
        try:
            await stream.send_all(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        except trio.BrokenResourceError as error:
            raise EngineGone("the Docker Engine does not answer any more") from error
        if await news.until(b"\r\n\r\n") is None:
            raise EngineGone("the Docker Engine does not answer any more")
        yield news
