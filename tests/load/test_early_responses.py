"""A response that comes while the request's body is being sent is counted by its status."""

import socket
import time
from collections import Counter

import pytest

from tests.load.conftest import WAYS
from tests.servers.scripted import scripted

REFUSED = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nwho are you"
ACCEPTED = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"


def closes_after(*pieces: bytes, pause: float = 0.0):
    """Respond, and close with the request's body unread, which resets the connection."""

    def script(client, _head) -> None:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(pause)

    return script


def lingers_after(response: bytes):
    """Respond, stop sending, and read the rest for a while, as careful servers do."""

    def script(client, _head) -> None:
        client.sendall(response)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(1)
        while client.recv(65536):
            pass

    return script


SERVERS = {
    "413, then closed": (closes_after(REFUSED), "bad_status"),
    "413, closed a moment later": (closes_after(REFUSED, pause=0.02), "bad_status"),
    "413 in two pieces": (closes_after(REFUSED[:40], REFUSED[40:]), "bad_status"),
    "413 after an interim response": (closes_after(b"HTTP/1.1 100 Continue\r\n\r\n", REFUSED), "bad_status"),
    "401 that ends with the connection": (closes_after(UNAUTHORIZED), "bad_status"),
    "413, then the rest is read": (lingers_after(REFUSED), "bad_status"),
    "200, then closed": (closes_after(ACCEPTED), ""),
    "nothing, then closed": (closes_after(), "reset"),
}


SIZES = [300_000, 4_000_000]
"""Sent at once, as far as loopback goes, and in many pieces."""
PAIRS = [
    pytest.param(way, SIZES[(number + other) % 2], *server, id=f"{way}-{SIZES[(number + other) % 2]}-{name}")
    for number, (name, server) in enumerate(SERVERS.items())
    for other, way in enumerate(WAYS)
]
"""Each server meets each way and each size; each way meets each size."""


@pytest.mark.parametrize(("way", "size", "script", "kind"), PAIRS, indirect=["way"])
async def test_an_early_response_is_counted_by_its_status(run_load, way, script, kind, size):
    with scripted(script, once=True, body=False, tls=way.server) as port:
        offered = await run_load(
            port,
            tls=way.tls,
            rps=10,
            duration=0.4,
            request={"method": "PUT", "path": "/", "body": "x" * size},
        )

    failures = Counter(offered.failures)
    if kind == "reset":  # a close that comes after the whole request was received has no RST
        failures["reset"] += failures.pop("closed_early", 0)
    assert failures == ({kind: 4} if kind else {})


async def test_an_early_response_that_the_reset_cut_short_is_counted_by_its_status(run_load, way):
    with scripted(closes_after(REFUSED[:-5]), once=True, body=False, tls=way.server) as port:
        offered = await run_load(
            port,
            tls=way.tls,
            rps=10,
            duration=0.4,
            request={"method": "PUT", "path": "/", "body": "x" * 4_000_000},
        )

    assert offered.failures == {"bad_status": 4}
