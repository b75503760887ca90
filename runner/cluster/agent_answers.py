"""What every agent answers: whether an address responds."""

from __future__ import annotations

import os
import re
import time
from typing import Final

import msgspec
import trio
from msgspec import Raw

from runner.cluster.agent_asks import Call, Unanswerable
from runner.cluster.errors import first_of
from runner.cluster.facts import ProbeOrder, ProbeResult
from runner.core.units import Bytes, Seconds

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_LONGEST_STATUS_LINE: Final[Bytes] = 4096


async def probe(payload: Raw, _call: Call) -> bytes:
    """Answer a `ProbeOrder` with a `ProbeResult`: one connection, and one GET if there is a path."""
    order = msgspec.json.decode(payload, type=ProbeOrder)
    begin = time.monotonic()
    outcome = _Attempt(order, begin)
    error = f"no response within {order.within_s:g} s"
    with trio.move_on_after(order.within_s):
        try:
            error = await outcome.run()
        except OSError as fault:
            error = _words(fault)
        except trio.BrokenResourceError:
            error = "the connection broke"
    result = ProbeResult(
        status=outcome.status,
        error=error[:1000],
        seconds=time.monotonic() - begin,
        connect_s=outcome.connect_s,
        address=outcome.address,
    )
    return msgspec.json.encode(result)


def _words(fault: OSError) -> str:
    """Return why a connection was impossible; trio puts the reasons of all addresses below one error."""
    cause = first_of(fault.__cause__ or fault)
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(fault)


class _Attempt:
    """One probe, and how far it came."""

    def __init__(self, order: ProbeOrder, begin: Seconds) -> None:
        self._order, self._begin = order, begin
        self.status: int | None = None
        self.connect_s: Seconds | None = None
        self.address = ""

    async def run(self) -> str:
        """Make it; returns what is wrong, empty for nothing."""
        async with await trio.open_tcp_stream(self._order.host, self._order.port) as stream:
            self.connect_s = time.monotonic() - self._begin
            self.address = str(stream.socket.getpeername()[0])
            if self._order.path is None:
                return ""
            await stream.send_all(self._request())
            line = await _first_line(stream)
        found = _STATUS_LINE.match(line)
        self.status = int(found[1]) if found else None
        return (
            "" if found else "the response is no HTTP" if line else "the connection ended without a response"
        )

    def _request(self) -> bytes:
        host = f"[{self._order.host}]" if ":" in self._order.host else self._order.host
        target = self._order.path or "/"
        if any(ord(character) <= 32 or ord(character) > 126 for character in target):
            raise Unanswerable(f"{target!r} is no path of a URL")
        return (
            f"GET {target} HTTP/1.1\r\nHost: {host}:{self._order.port}\r\nConnection: close\r\n\r\n".encode()
        )


async def _first_line(stream: trio.SocketStream) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < _LONGEST_STATUS_LINE:
        chunk = await stream.receive_some(_LONGEST_STATUS_LINE)
        if not chunk:
            break
        line += chunk
    return line
