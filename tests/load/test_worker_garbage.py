"""A worker collects no garbage while it runs, so nothing that belongs to a request may need the collector."""

import gc
import itertools
import socket
import time
from collections import Counter

import pytest

from runner.load.loop import Loop
from tests.load.orders import order
from tests.servers.scripted import scripted

REQUESTS = 80
HEAD = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a strange head": HEAD + b"A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
    "the end of the connection": HEAD + b"\r\nhello",
    "another status": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a body that is no chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\nhello",
    "a part of a response": HEAD + b"Content-Length: 9\r\n\r\nhello",
    "nothing": b"",
}
CLOSES = ("the end of the connection", "a part of a response", "nothing")


@pytest.mark.parametrize("new", [True, False], ids=["new connections", "keep-alive"])
def test_nothing_of_a_request_waits_for_the_collector(way, new):
    names = itertools.cycle(RESPONSES)

    def respond(client, _head):
        name = next(names)
        for piece in (RESPONSES[name][:20], RESPONSES[name][20:]):
            client.sendall(piece)
            time.sleep(0.001)
        if name in CLOSES:
            client.shutdown(socket.SHUT_RDWR)

    with scripted(respond, tls=way.server) as port:
        garbage = garbage_of(order(port, tls=way.tls, new_connections=new, resend=False, duration=0.4))

    assert garbage == Counter()


def garbage_of(stage) -> Counter[str]:
    """The objects of the generator that only the collector frees, by type."""
    loop = Loop(stage, iter((k * 5_000_000, 1) for k in range(REQUESTS)), lambda _: None)
    gc.collect()
    gc.freeze()  # what was there before is not the generator's, and takes long to go through
    gc.disable()
    try:
        loop.run(time.monotonic_ns() + 5_000_000, lambda: False)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return Counter(type(thing).__name__ for thing in gc.garbage if is_generator(type(thing)))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
        loop.close()


def is_generator(kind: type) -> bool:
    return kind.__module__.startswith(("runner.load", "httptools")) or kind.__name__ == "SSLObject"
