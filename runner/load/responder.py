"""The null responder: answers 20 bytes as soon as the kernel has a request, and notes when that was.

    python -P -m runner.load.responder

It is what the generator is held against: what it measures here is its own floor. The runner speaks JSON
lines to it: first what it will be asked, then a line for each report it wants.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import select
import signal
import socket
import sys
import time
from array import array
from typing import Final

from runner.core.units import NS_PER_S
from runner.load.connection import SO_TIMESTAMPNS, STAMP, STAMP_SPACE

_BODY: Final = b"01234567890123456789"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n%s\r\n"
_HEAD_ENDS: Final = b"\r\n\r\n"
_BACKLOG: Final = 4096
_MOST_STAMPS: Final = 4_000_000


class Responder:
    """Answers requests that all have the same number of bytes, known before or found in the first one."""

    def __init__(self) -> None:
        self._size: int | None = 1
        self._body_size, self._close_after, self._answer = 0, False, b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self._listener.setblocking(False)
        # Both are handed down to every accepted connection.
        self._listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._clients: dict[int, socket.socket] = {}
        self._missing: dict[int, int] = {}
        self._stamps = array("q")
        self._buffers = [bytearray(256 * 1024)]
        self._began = time.process_time()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def expect(self, *, request_bytes: int | None, body_bytes: int, head: bool, close: bool) -> None:
        """What is asked from now on.

        Args:
            request_bytes: How many bytes one request has; None to find it out from the first one, which
                then has to have its whole head in one segment.
            body_bytes: How many of them are its body.
            head: Whether answers have no body.
            close: Whether each connection is closed after its answer.
        """
        self._size, self._body_size, self._close_after = request_bytes, body_bytes, close
        self._answer = _HEAD % (b"Connection: close\r\n" if close else b"") + (b"" if head else _BODY)

    def serve_until(self, fd: int) -> None:
        """Answer until `fd` has something to say."""
        listener, poll = self._listener.fileno(), self._epoll.poll
        self._epoll.register(fd, select.EPOLLIN)
        called = False
        while not called:
            for ready, _ in poll():
                if ready == listener:
                    self._accept()
                elif ready == fd:
                    called = True
                else:
                    self._serve(ready)
        self._epoll.unregister(fd)

    def report(self) -> dict[str, object]:
        """Kernel stamps of the requests since the last report, in nanoseconds of CLOCK_REALTIME, and CPU."""
        now = time.process_time()
        stamps = array("q", sorted(self._stamps))
        told = {"stamps": base64.b64encode(stamps.tobytes()).decode(), "cpu_s": now - self._began}
        self._stamps, self._began = array("q"), now
        return told

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
        """Read from one client, and answer when its request is whole."""
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
        self._note(ancillary)
        try:
            client.send(self._answer)
        except OSError:
            self._close(fd)
            return
        if self._close_after:
            self._close(fd)

    def _note(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        if ancillary and len(self._stamps) < _MOST_STAMPS:
            seconds, nanoseconds = STAMP.unpack(ancillary[0][2])
            self._stamps.append(seconds * NS_PER_S + nanoseconds)

    def _close(self, fd: int) -> None:
        self._missing.pop(fd, None)
        self._clients.pop(fd).close()


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = sys.stdin.buffer
    responder = Responder()
    _say({"port": responder.port})
    gc.freeze()
    gc.disable()
    told = commands.readline()
    if told:
        responder.expect(**json.loads(told))
    while told:
        responder.serve_until(commands.fileno())
        told = commands.readline()
        if told:
            _say(responder.report())
    responder.close()


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
