"""Admits agents to the hub: only those that prove within 2 s that they know the run's secret."""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

from runner.cluster.authentication import PROVE_WITHIN_S, Side, new_nonce, proof, proves
from runner.cluster.hub_agent import HubAgent
from runner.cluster.lines import MAX_MESSAGE, LineReader, LineWriter
from runner.cluster.messages import HELLO, Challenge, Denied, Hello, HubOrder, Refused, Welcome
from runner.cluster.wire import encode
from runner.core.units import Bytes

MOST_UNPROVEN: Final = 4096
"""Connections that may be open without having proved anything."""

_LONGEST_HELLO: Final[Bytes] = 16 * 1024


class NotAdmitted(Exception):  # noqa: N818  (an event, not a bug)
    """A connection is refused; the only argument says why."""


class _Left(Exception):  # noqa: N818  (an event, not a bug)
    """A connection ended before it said anything, as spare attempts of an agent do: this is no refusal."""


class Door:
    """Decides who is admitted.

    Args:
        order: Of the hub.
    """

    def __init__(self, order: HubOrder) -> None:
        self._order = order
        self._joined: set[str] = set()
        self._unproven = 0
        self._refused = 0
        self._last_refusal = ("", "")

    async def admit(self, stream: trio.SocketStream) -> HubAgent | None:
        """Return the agent behind a connection, or None, with the connection closed, if it is refused."""
        address = _address_of(stream)
        self._unproven += 1
        try:
            return await self._identified(stream, address)
        except _Left:
            await trio.aclose_forcefully(stream)
            return None
        except NotAdmitted as error:
            self._refused += 1
            self._last_refusal = (address, str(error))
            await trio.aclose_forcefully(stream)
            return None
        finally:
            self._unproven -= 1

    def expect_again(self, node: str) -> None:
        """Admit an agent of a node once more, although one has joined before."""
        self._joined.discard(node)

    def has_joined(self, node: str) -> bool:
        """Return whether the agent of a node has joined; false again once another one is expected."""
        return node in self._joined

    def refusals(self) -> Refused | None:
        """Return who was refused since the last call; None for nobody."""
        if not self._refused:
            return None
        count, self._refused = self._refused, 0
        address, reason = self._last_refusal
        return Refused(count=count, address=address, reason=reason)

    async def _identified(self, stream: trio.SocketStream, address: str) -> HubAgent:
        if self._unproven > MOST_UNPROVEN:
            raise NotAdmitted(f"{MOST_UNPROVEN:,} others had not proved that they know the secret")
        reader = LineReader(stream, _LONGEST_HELLO)
        with trio.move_on_after(PROVE_WITHIN_S):
            hello = await self._proven(stream, reader)
            if reason := self._objection(hello.node):  # two at the same time
                raise NotAdmitted(reason)
            self._joined.add(hello.node)
            reader.longest = MAX_MESSAGE
            return HubAgent(
                hello.node,
                hello.info,
                address,
                stream=stream,
                reader=reader,
                silent_s=self._order.silent_s,
            )
        raise NotAdmitted(f"it did not prove within {PROVE_WITHIN_S} s that it knows the secret")

    async def _proven(self, stream: trio.SocketStream, reader: LineReader) -> Hello:
        writer, nonce = LineWriter(stream), new_nonce()
        try:
            await writer.send(encode(Challenge(nonce=nonce)))
            line = await reader.line()
            if line is None and not reader.received:
                raise _Left
            hello = HELLO.decode(line or b"")
            prove = partial(
                proof,
                self._order.secret,
                run_id=self._order.run_id,
                node=hello.node,
                nonces=(nonce, hello.nonce),
            )
            if not proves(hello.proof, prove(Side.AGENT)):
                raise NotAdmitted("it does not know the secret of this run")
            if reason := self._objection(hello.node):
                await writer.send(encode(Denied(reason=reason)))
                raise NotAdmitted(reason)
            await writer.send(encode(Welcome(proof=prove(Side.HUB))))
        except trio.BrokenResourceError:
            if not reader.received:
                raise _Left from None
            raise NotAdmitted("its connection broke") from None
        except ValueError:
            raise NotAdmitted("it sent no readable greeting") from None
        return hello

    def _objection(self, node: str) -> str:
        if node not in self._order.nodes:
            return f"no agent is expected on {node!r}"
        return f"the agent on {node!r} has joined already" if node in self._joined else ""


def _address_of(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:  # it is closed already
        return ""
