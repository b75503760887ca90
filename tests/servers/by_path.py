"""A server whose behaviour depends on the request's path, and that records every request."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
RESPONSES = {
    "good": GOOD,
    "bad_status": b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: /good\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
    "bad_body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye",
    "closed_early": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart",
    "protocol": b"\x00\x01 no HTTP at all\r\n\r\n",
}
MIX = ("good", "reset", "closed_early", "timeout", "bad_status", "bad_body", "protocol", "good")


@dataclass
class Seen:
    """The server's port and what it received.

    Attributes:
        port: On 127.0.0.1.
        paths: Number of requests by path.
        served: Number of responses by kind, such as ``good`` or ``reset``.
        connections: TCP connections accepted.
        requests: The head and body of every request.
    """

    port: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
                self.requests.append((head, await reader.readexactly(sizes[0]) if sizes else b""))
                if not await self._respond(head.split()[1].decode(), writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _respond(self, path: str, writer: asyncio.StreamWriter) -> bool:
        """Respond to ``/good``, ``/delay/MS`` or ``/mix`` (each kind in turn); returns whether to go on."""
        self.paths[path] += 1
        kind, _, argument = path.strip("/").partition("/")
        if kind == "mix":
            kind = MIX[(self.paths[path] - 1) % len(MIX)]
        self.served[kind] += 1
        if kind == "delay":
            await asyncio.sleep(int(argument) / 1000)
        if kind == "timeout":
            await asyncio.sleep(30)
        if kind == "reset":
            linger_none = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
            writer.transport.abort()
            return False
        writer.write(RESPONSES.get(kind, GOOD))
        await writer.drain()
        return kind not in {"closed_early", "protocol"}


@contextmanager
def server_by_path() -> Iterator[Seen]:
    """Serve in a thread until the block ends."""
    seen, up, loop, stop = Seen(), threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(seen.serve, "127.0.0.1", 0, backlog=1024)
        seen.port = server.sockets[0].getsockname()[1]
        up.set()
        await stop.wait()
        server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)
        await asyncio.sleep(0.01)  # transports close in the loop's next rounds

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    up.wait()
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def full_accept_queue() -> Iterator[int]:
    """A port whose accept queue is full, so that the kernel drops SYNs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for client in clients:
            client.close()
