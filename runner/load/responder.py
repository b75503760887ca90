"""The null responder: a no-op server that returns 20 bytes at once and records when each request arrived.

    python -P -m runner.load.responder

The generator's baseline is measured against it. The runner writes lines of JSON to it: first `Expected`, then
an empty line for each report it wants. It prints the messages of `runner.load.messages`.
"""

from __future__ import annotations

import contextlib
import gc
import select
import signal
import socket
import sys
from array import array
from typing import Final

import msgspec

from runner.core.units import NS_PER_S
from runner.load.connection import SO_TIMESTAMPNS, STAMP, STAMP_SPACE
from runner.load.messages import ResponderReady, ResponderReport, encode

_BODY: Final = b"01234567890123456789"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n%s\r\n"
_HEAD_ENDS: Final = b"\r\n\r\n"
_BACKLOG: Final = 4096
_MAX_TIMESTAMPS: Final = 4_000_000


class Expected(msgspec.Struct, frozen=True):
    """The requests to come.

    Attributes:
        request_bytes: Length of each request; None to learn it from the first one, whose head must then
            arrive in one segment.
        body_bytes: How much of it is the body.
        head: Whether responses have no body.
        close: Whether each connection is closed after its response.
    """

    request_bytes: int | None
    body_bytes: int
    head: bool
    close: bool


class Responder:
    """Responds to requests that all have the same length."""

    def __init__(self) -> None:
        self._size: int | None = 1
        self._body_size, self._close_after, self._response = 0, False, b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._listener.setblocking(False)
        # Accepted connections inherit both options.
        self._listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._clients: dict[int, socket.socket] = {}
        self._missing: dict[int, int] = {}
        self._timestamps = array("q")
        self._buffers = [bytearray(256 * 1024)]

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def expect(self, expected: Expected) -> None:
        """Prepare for the requests to come."""
        self._size, self._body_size = expected.request_bytes, expected.body_bytes
        self._close_after = expected.close
        head = _HEAD % (b"Connection: close\r\n" if expected.close else b"")
        self._response = head + (b"" if expected.head else _BODY)

    def serve_until(self, fd: int) -> None:
        """Serve until `fd` is readable."""
        listener, poll = self._listener.fileno(), self._epoll.poll
        self._epoll.register(fd, select.EPOLLIN)
        readable = False
        while not readable:
            for ready, _ in poll():
                if ready == listener:
                    self._accept()
                elif ready == fd:
                    readable = True
                else:
                    self._serve(ready)
        self._epoll.unregister(fd)

    def report(self) -> ResponderReport:
        """Return when the requests since the last report arrived."""
        timestamps = array("q", sorted(self._timestamps))
        self._timestamps = array("q")
        return ResponderReport(timestamps.tobytes())

    def close(self) -> None:
        """Close everything."""
        for client in self._clients.values():
            client.close()
        self._listener.close()
        self._epoll.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self._clients[client.fileno()] = client
                self._epoll.register(client.fileno(), select.EPOLLIN)

    def _serve(self, fd: int) -> None:
        """Read from one client, and respond when its request is complete."""
        client = self._clients[fd]
        try:
            count, ancillary, _, _ = client.recvmsg_into(self._buffers, STAMP_SPACE)
        except BlockingIOError:
            return
        except OSError:
            count, ancillary = 0, []
        if not count:
            self._close(fd)
            return
        if self._size is None:
            self._size = self._buffers[0].find(_HEAD_ENDS, 0, count) + len(_HEAD_ENDS) + self._body_size
        missing = self._missing.pop(fd, self._size) - count
        if missing > 0:
            self._missing[fd] = missing
            return
        self._record(ancillary)
        try:
            client.send(self._response)
        except OSError:
            self._close(fd)
            return
        if self._close_after:
            self._close(fd)

    def _record(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        if ancillary and len(self._timestamps) < _MAX_TIMESTAMPS:
            seconds, nanoseconds = STAMP.unpack(ancillary[0][2])
            self._timestamps.append(seconds * NS_PER_S + nanoseconds)

    def _close(self, fd: int) -> None:
        self._missing.pop(fd, None)
        self._clients.pop(fd).close()


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = sys.stdin.buffer
    responder = Responder()
    _print(ResponderReady(responder.port))
    gc.freeze()
    gc.disable()
    line = commands.readline()
    if line:
        responder.expect(msgspec.json.decode(line, type=Expected))
    while line:
        responder.serve_until(commands.fileno())
        line = commands.readline()
        if line:
            _print(responder.report())
    responder.close()


def _print(message: ResponderReady | ResponderReport) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
