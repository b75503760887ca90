"""An agent's connection to the hub: finds it, proves that it knows the secret, and demands the same proof."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec
import trio
from msgspec import Meta, Struct

from runner.cluster.authentication import Side, new_nonce, proof, proves
from runner.cluster.facts import PORT_MAX, AgentInfo
from runner.cluster.lines import LineReader, LineWriter
from runner.cluster.messages import ADMISSION, CHALLENGE, Denied, Hello
from runner.cluster.wire import Name, Period, Secret, encode
from runner.core.units import Seconds

_REACH_WITHIN_S: Final[Seconds] = 40
_TRY_EVERY_S: Final[Seconds] = 0.1
_MOST_ATTEMPTS: Final = 30
_ADMITTED_WITHIN_S: Final[Seconds] = 10


class AgentPlan(Struct, frozen=True, kw_only=True):
    """What an agent needs to know to join; the content of a secret file.

    Attributes:
        run_id: Of the run.
        secret: Of the run.
        hub: Name or address of the hub.
        port: Of the hub.
        expires_s: After which the agent ends in any case.
        no_ping_s: After which it ends if the hub says nothing.
    """

    run_id: Name
    secret: Secret
    hub: Annotated[str, Meta(min_length=1, max_length=256)]
    port: Annotated[int, Meta(ge=1, le=PORT_MAX)]
    expires_s: Period
    no_ping_s: Period

    def to_json(self) -> bytes:
        """Return the content of the file."""
        return msgspec.json.encode(self)


class CannotJoin(Exception):  # noqa: N818  (reads as the sentence it is)
    """The agent cannot join; the only argument says why."""


async def join(plan: AgentPlan, node: str, info: AgentInfo) -> tuple[trio.SocketStream, LineReader]:
    """Connect to the hub and prove that this agent belongs to the run.

    Args:
        plan: Of the run.
        node: Name of the node.
        info: Of its machine.

    Raises:
        CannotJoin: The hub cannot be reached, does not admit this agent, or does not know the secret.
    """
    stream = await _reach(plan)
    try:
        return stream, await _admitted(plan, node, info, stream)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _admitted(plan: AgentPlan, node: str, info: AgentInfo, stream: trio.SocketStream) -> LineReader:
    """Return the reader of a connection on which both sides have proved that they know the secret."""
    reader = LineReader(stream)
    try:
        with trio.move_on_after(_ADMITTED_WITHIN_S):
            await _prove(plan, node, info, reader, LineWriter(stream))
            return reader
    except trio.BrokenResourceError:
        raise CannotJoin("the hub ended the connection") from None
    except (msgspec.DecodeError, ValueError):
        raise CannotJoin("what listens at the hub's address is no hub, or ended the connection") from None
    raise CannotJoin(f"the hub did not admit this agent within {_ADMITTED_WITHIN_S:g} s")


async def _reach(plan: AgentPlan) -> trio.SocketStream:
    """Connect; until the hub, which starts at the same time, and the network are there, attempts fail.

    A look-up of an unknown name can take ten seconds, so attempts do not wait for one another.
    """
    streams: list[trio.SocketStream] = []
    faults: list[OSError] = []

    async def attempt(scope: trio.CancelScope) -> None:
        try:
            streams.append(await trio.open_tcp_stream(plan.hub, plan.port))
        except OSError as fault:
            faults.append(fault)
            return
        scope.cancel()

    with trio.move_on_after(_REACH_WITHIN_S):
        async with trio.open_nursery() as nursery:
            while True:
                if len(nursery.child_tasks) < _MOST_ATTEMPTS:
                    nursery.start_soon(attempt, nursery.cancel_scope)
                await trio.sleep(_TRY_EVERY_S)
    for stream in streams[1:]:
        await trio.aclose_forcefully(stream)
    if streams:
        return streams[0]
    reason = f": {faults[-1]}" if faults else ""
    raise CannotJoin(f"the hub at {plan.hub}:{plan.port} is not reachable{reason}")


async def _prove(plan: AgentPlan, node: str, info: AgentInfo, reader: LineReader, writer: LineWriter) -> None:
    challenge = CHALLENGE.decode(await reader.line() or b"")
    nonce = new_nonce()
    prove = partial(proof, plan.secret, run_id=plan.run_id, node=node, nonces=(challenge.nonce, nonce))
    await writer.send(encode(Hello(node=node, nonce=nonce, proof=prove(Side.AGENT), info=info)))
    line = await reader.line()
    if line is None:
        raise CannotJoin("the hub does not accept this agent's secret")
    admission = ADMISSION.decode(line)
    if isinstance(admission, Denied):
        raise CannotJoin(admission.reason)
    if not proves(admission.proof, prove(Side.HUB)):
        raise CannotJoin("what listens at the hub's address does not know the secret of this run")
