"""A server of pages that no monitoring client should believe, each under a path of its own."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator

from tests.servers.scripted import scripted

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
METRICS = b"# TYPE http_requests_total counter\nhttp_requests_total 4\napp_gc_seconds_total 1.5\n"


def whole(body: bytes, head: bytes = PLAIN) -> Callable[[socket.socket, threading.Event], None]:
    """Return a script that sends a complete response."""
    response = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return lambda client, _: client.sendall(response)


def endless(begin: bytes, piece: bytes, pause_s: float = 0.0) -> Callable[..., None]:
    """Return a script that never stops sending."""

    def send(client: socket.socket, stopping: threading.Event) -> None:
        client.sendall(begin)
        while not stopping.wait(pause_s) if pause_s else not stopping.is_set():
            client.sendall(piece)

    return send


def silent(_: socket.socket, stopping: threading.Event) -> None:
    """Receive the request and send nothing."""
    stopping.wait(30)


CHUNKED = PLAIN + b"Transfer-Encoding: chunked\r\n\r\n"
PAGES = {
    "good": whole(METRICS),
    "endless": endless(PLAIN + b"\r\n", b"a_total 1\n" * 6000),
    "endless-chunks": endless(CHUNKED, b"10000\r\n" + b"#" * 65535 + b"\n\r\n"),
    "endless-tiny-chunks": endless(CHUNKED, b"1\r\n#\r\n" * 500),
    "endless-head": endless(b"HTTP/1.1 200 OK\r\n", b"X-Pad: 1\r\n" * 1000),
    "endless-header": endless(b"HTTP/1.1 200 OK\r\nX-Pad: ", b"x" * 65536),
    "endless-informational": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.01),
    "informational-flood": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "continue-flood": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "slow-continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
    "endless-trailer": endless(CHUNKED + b"1\r\n#\r\n0\r\n", b"X-Pad: 1\r\n" * 1000),
    "drip": endless(PLAIN + b"Content-Length: 1000\r\n\r\n", b"#", 1.0),
    "drip-head": endless(b"HTTP/1.1 200 OK\r\n", b"X", 1.0),
    "silent": silent,
    "gzip-bomb": whole(
        gzip.compress(bytes(50_000_000), compresslevel=1), PLAIN + b"Content-Encoding: gzip\r\n"
    ),
    "announced-large": whole(b"#" * 1_048_577),
    "huge-header": whole(METRICS, PLAIN + b"X-Pad: " + b"x" * 5_000_000 + b"\r\n"),
    "many-series": whole(b"".join(b"a%d 1\n" % n for n in range(100_000))),
    "long-line": whole(b"a{" + b'b="c",' * 100_000 + b"} 1\n"),
    "backslashes": whole(b'a{b="' + b'\\"' * 300_000 + b'"} 1\n'),
    "not-utf-8": whole(METRICS + b'a{b="\xff\xfe"} 1\n'),
    "binary": whole(bytes(range(128)) * 100, b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"),
    "json": whole(b'{"requests": 4}', b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
    "as-html": whole(METRICS, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"),
    "redirect": whole(b"", b"HTTP/1.1 302 Found\r\nLocation: /redirect\r\n"),
    "closed": lambda client, _: client.sendall(PLAIN + b"Content-Length: 1000\r\n\r\n" + METRICS),
    "no-http": lambda client, _: client.sendall(b"\x00\x01\x02 hello\r\n\r\n"),
    "nan": whole(b"app_gc_seconds_total NaN\n"),
    "infinite": whole(b"app_gc_seconds_total +Inf\n"),
    "minus-infinite": whole(b"app_gc_seconds_total -Inf\n"),
    "large": whole(b"app_gc_seconds_total 1e300\n"),
    "large-integer": whole(b"app_gc_seconds_total 1" + b"0" * 4000 + b"\n"),
    "large-bucket": whole(b'go_sched_latencies_seconds_bucket{le="many"} 1\n'),
}


@contextlib.contextmanager
def hostile_pages() -> Iterator[str]:
    """Serve every page of `PAGES` under its name until the block ends; yields the URL of the root."""
    stopping = threading.Event()

    def script(client: socket.socket, request: bytes) -> None:
        with contextlib.suppress(OSError):
            PAGES[request.split()[1].decode().strip("/")](client, stopping)

    with scripted(script, once=True) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stopping.set()
