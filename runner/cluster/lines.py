"""Lines over a stream, bounded in length: what another machine sends is not trusted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from runner.core.units import BYTES_PER_MIB, Bytes

MAX_LINE: Final[Bytes] = 16 * BYTES_PER_MIB
"""The longest line of a generator process, and of what an agent streams or answers."""
MAX_MESSAGE: Final[Bytes] = MAX_LINE + 64 * 1024
"""The longest message between runner, hub and agents: such a line in two envelopes."""

_CHUNK: Final[Bytes] = 64 * 1024


class LineTooLong(ValueError):  # noqa: N818  (reads as the sentence it is)
    """A line does not end within the allowed number of bytes."""


class HalfLine(ValueError):  # noqa: N818  (likewise)
    """The stream has ended in the middle of a line."""


class LineReader:
    """Lines of a stream.

    Args:
        stream: Read by this object only.
        longest: A line may have this many bytes, its end not included.
    """

    def __init__(self, stream: trio.abc.ReceiveStream, longest: Bytes = MAX_MESSAGE) -> None:
        self._stream = stream
        self.longest = longest
        self.received: Bytes = 0
        """Bytes read so far."""
        self._buffer = bytearray()

    async def line(self) -> bytes | None:
        """Return the next line without its end; None at the end of the stream.

        Raises:
            LineTooLong: It has more bytes than allowed.
            HalfLine: The stream has ended within it.
            trio.BrokenResourceError: The connection broke.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > self.longest:
                raise LineTooLong(f"a line of more than {self.longest:,} bytes")
            if not await self._receive():
                return None
        if end > self.longest:
            raise LineTooLong(f"a line of more than {self.longest:,} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def _receive(self) -> bool:
        chunk = await self._stream.receive_some(_CHUNK)
        self.received += len(chunk)
        self._buffer += chunk
        if not chunk and self._buffer:
            raise HalfLine("the stream ended in the middle of a line")
        return bool(chunk)


class LineWriter:
    """Sends whole lines, whichever task sends.

    Args:
        stream: Written by this object only.
    """

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self.lock = trio.Lock()
        """Held while a line is under way."""

    async def send(self, line: bytes) -> None:
        """Send a line, its end included; one that is begun is completed, or the stream is closed.

        Raises:
            trio.BrokenResourceError: The other side is gone.
        """
        async with self.lock:
            await self.send_locked(line)

    async def send_locked(self, line: bytes) -> None:
        """Do the same for a caller who holds `lock`."""
        try:
            await self._stream.send_all(line)
        except trio.ClosedResourceError:
            raise trio.BrokenResourceError("the stream is closed") from None
        except BaseException:
            await trio.aclose_forcefully(self._stream)
            raise


class Outbox:
    """Lets tasks send lines that may be cancelled: a line that is begun is sent to its end by `run`.

    Args:
        write: Sends one line; called by `run` only.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._lines, self._to_send = trio.open_memory_channel[bytes](0)

    async def run(self) -> None:
        """Send lines until it is cancelled.

        Raises:
            trio.BrokenResourceError: The other side is gone.
        """
        async with self._to_send:
            async for line in self._to_send:
                await self._write(line)

    async def send(self, line: bytes) -> None:
        """Hand a line over, its end included, when those before it are sent.

        Raises:
            trio.BrokenResourceError: The other side is gone.
        """
        await self._lines.send(line)
