"""A server in a thread that handles each request with a function of the test, its script.

A script gets the accepted socket and the complete request that was read from it.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Script = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def scripted(
    script: Script,
    *,
    once: bool = False,
    body: bool = True,
    family: int = socket.AF_INET,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Serve `script` on a free loopback port until the block ends; yields the port.

    A connection is served until it closes, or once. Without `body`, scripts get the request as soon as its
    head is there, and the rest stays unread: closing then resets the connection. With `tls`, scripts get it
    after the handshake; a script that just closes it does so without close_notify.
    """
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    listener = socket.create_server((host, 0), family=family, backlog=512)
    stopping = threading.Event()
    open_now: set[socket.socket] = set()

    def converse(client: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            open_now.add(client)
            stack.callback(open_now.discard, client)
            stack.enter_context(client)
            # Nagle: a second piece would wait until the first is acknowledged, and a reset would discard it;
            # with TLS the first response would wait for the session tickets.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                client = stack.enter_context(tls.wrap_socket(client, server_side=True))
                open_now.add(client)
                stack.callback(open_now.discard, client)
            while request := _read_request(client, body=body):
                script(client, request)
                if once:
                    break

    def accept() -> None:
        while not stopping.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for client in list(open_now):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _read_request(client: socket.socket, *, body: bool) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return b""
        data += piece
    if not body:
        return data
    head, _, content = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    pieces, missing = [content], length - len(content)
    while missing > 0:
        piece = client.recv(65536)
        if not piece:
            return b""
        pieces.append(piece)
        missing -= len(piece)
    return head + b"\r\n\r\n" + b"".join(pieces)


@contextlib.contextmanager
def in_one_segment(client: socket.socket) -> Iterator[None]:
    """Send what the block sends, and the end of the connection if it shuts that down, together."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
