"""Counts visits in Redis, with Python's standard library alone: the service of an example with Compose."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_REDIS: Final = os.environ.get("REDIS_HOST", "127.0.0.1"), int(os.environ.get("REDIS_PORT", "6379"))
_TIMEOUT_S: Final = 5
_connections: Final = threading.local()


def _connect() -> socket.SocketIO:
    connection = socket.create_connection(_REDIS, timeout=_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.makefile("rwb", buffering=0)


def _redis(command: bytes) -> bytes:
    """Return Redis's reply to an inline command; each thread keeps a connection of its own.

    Raises:
        OSError: Redis does not respond, or responds with an error.
    """
    stream: socket.SocketIO = _connections.__dict__.pop("stream", None) or _connect()
    stream.write(command + b"\r\n")
    reply = stream.readline()
    if not reply.startswith((b"+", b":")):
        raise OSError(f"Redis replied {reply!r}")
    _connections.stream = stream
    return reply[1:].strip()


class Visits(BaseHTTPRequestHandler):
    """GET /visits counts one and returns how many there were; /healthz tells whether Redis responds."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Respond to one request."""
        command = {"/visits": b"INCR visits", "/healthz": b"PING"}.get(self.path)
        if command is None:
            self._respond(404, b"not found\n")
            return
        try:
            self._respond(200, _redis(command) + b"\n")
        except OSError:
            self._respond(503, b"Redis does not respond\n")

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Write no line for each request."""


class Server(ThreadingHTTPServer):
    """Accepts as many connections at once as a load test opens."""

    request_queue_size = 1024
    daemon_threads = True


if __name__ == "__main__":
    Server(("", int(os.environ.get("PORT", "8080"))), Visits).serve_forever()
