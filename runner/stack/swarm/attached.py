"""The standard input and output of a container, through the connection that the engine hands over.

The SDK's own method would read it past its bounds, in a thread that nobody can wake.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

import trio

from runner.core.units import Bytes, Seconds
from runner.stack.docker.engine import Engine, EngineUnavailable
from runner.stack.output import printable
from runner.stack.swarm.dial import dial

_HEADER: Final = struct.Struct(">BxxxL")
_STDERR: Final = 2
_CHUNK: Final[Bytes] = 65_536
_MAX_HEAD: Final[Bytes] = 16_384
_LAST_LINES: Final = 20
_MAX_STDERR_LINE: Final[Bytes] = 4_096
_ANSWERS_WITHIN_S: Final[Seconds] = 30.0
_HANDED_OVER: Final = frozenset({b"101", b"200"})


class ContainerOutput(trio.abc.ReceiveStream):
    """The standard output of a container; its standard error is kept aside.

    Args:
        stream: The connection, whose frames say to which of the two their content belongs.
        begun: What has already been read of it.
    """

    def __init__(self, stream: trio.abc.ReceiveStream, begun: bytes = b"") -> None:
        self._stream = stream
        self._raw = bytearray(begun)
        self._kind = 0
        self._left = 0
        self._unfinished = b""
        self.last_words: deque[str] = deque(maxlen=_LAST_LINES)
        """The last lines of the standard error."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next part of the standard output, empty at its end.

        Raises:
            trio.BrokenResourceError: The connection broke.
        """
        del max_bytes  # the caller of this one takes what comes
        while True:
            if content := self._take():
                if self._kind != _STDERR:
                    return content
                self._note(content)
                continue
            chunk = await self._stream.receive_some(_CHUNK)
            if not chunk:
                return b""
            self._raw += chunk

    def _take(self) -> bytes:
        """Return what has arrived of the current frame."""
        if not self._left and len(self._raw) >= _HEADER.size:
            self._kind, self._left = _HEADER.unpack_from(self._raw)
            del self._raw[: _HEADER.size]
        content = bytes(self._raw[: self._left])
        del self._raw[: self._left]
        self._left -= len(content)
        return content

    def _note(self, content: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + content).split(b"\n")
        self._unfinished = self._unfinished[:_MAX_STDERR_LINE]
        for line in lines[-_LAST_LINES:]:
            self.last_words.append(printable(line[:_MAX_STDERR_LINE].decode(errors="replace")))

    async def aclose(self) -> None:
        """Close the connection."""
        await trio.aclose_forcefully(self._stream)


async def attach(engine: Engine, container_id: str) -> tuple[trio.abc.Stream, ContainerOutput]:
    """Attach to a container before it is started, so that nothing of its output is missed.

    Returns:
        What to write its standard input to, and what to read its output from: two ways of one connection.

    Raises:
        EngineUnavailable: The engine does not hand the connection over.
    """
    head = (
        f"POST /v{engine.api.api_version}/containers/{container_id}/attach"
        "?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n"
        "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    )
    with trio.move_on_after(_ANSWERS_WITHIN_S):
        stream = await dial(engine.base_url)
        try:
            await stream.send_all(head.encode())
            begun = await _read_head(stream)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream, ContainerOutput(stream, begun)
    raise EngineUnavailable(
        f"the Docker Engine does not attach to a container within {_ANSWERS_WITHIN_S:g} s"
    )


async def _read_head(stream: trio.abc.Stream) -> bytes:
    """Read the head of the response; return what comes after it.

    Raises:
        EngineUnavailable: The response is another one.
    """
    received = b""
    while b"\r\n\r\n" not in received and len(received) < _MAX_HEAD:
        try:
            chunk = await stream.receive_some(_CHUNK)
        except trio.BrokenResourceError:
            chunk = b""
        if not chunk:
            break
        received += chunk
    head, end, begun = received.partition(b"\r\n\r\n")
    words = head.partition(b"\r\n")[0].split()
    if not end or len(words) < 2 or words[1] not in _HANDED_OVER:
        line = printable(head.partition(b"\r\n")[0][:200].decode(errors="replace"))
        raise EngineUnavailable(f"the Docker Engine does not attach to a container: {line or 'no response'}")
    return begun
