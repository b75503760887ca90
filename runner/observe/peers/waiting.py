"""Whether a response is due on a TCP connection, from what the kernel keeps of it (struct tcp_info).

The kernel keeps when data was last sent and received in ticks of its clock, up to 10 ms long. The order is
lost if both are in one tick: the response came within the tick, or a waiting thread used the connection again
at once. Acknowledgements tell which. Linux delays them by 40 ms, so that the response to a quick request
carries its acknowledgement. A program that takes longer receives later requests in a mode in which each is
acknowledged at once (tcp_input.c, "pingpong").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

Inode: TypeAlias = int
"""Of a socket; unique on this host while it exists."""

_STATE: Final = struct.Struct("=24xI16xI4xII80xI8xII")
_TIMES: Final = struct.Struct("=24xI16xI4xII")
_SEPARATELY: Final = 0.5
"""Acknowledgements without data for each segment sent from which requests are acknowledged separately."""


class TcpState(NamedTuple):
    """What the kernel keeps of a connection.

    Attributes:
        unacknowledged: Segments that were sent and not acknowledged.
        sent_ms: Time since data was sent.
        received_ms: Time since data was received.
        acknowledged_ms: Time since an acknowledgement was received, with data or without.
        received: Segments received.
        received_data: Segments received with data.
        sent_data: Segments sent with data.
    """

    unacknowledged: int
    sent_ms: int
    received_ms: int
    acknowledged_ms: int
    received: int
    received_data: int
    sent_data: int

    @property
    def bare(self) -> int:
        """Segments received without data."""
        return self.received - self.received_data


def tcp_state(info: bytes) -> TcpState | None:
    """Return the state in a tcp_info structure; None if the kernel did not send a whole one."""
    if len(info) >= _STATE.size:
        return TcpState._make(_STATE.unpack_from(info))
    if len(info) >= _TIMES.size:  # Linux before 4.6
        return TcpState._make((*_TIMES.unpack_from(info), 0, 0, 0))
    return None


@dataclass(slots=True)
class Waiting:
    """Tells on which connections a response is due; it must see every reading.

    It remembers how the requests of each connection were acknowledged.
    """

    _seen: dict[Inode, tuple[TcpState, bool]] = field(default_factory=dict)
    _now: dict[Inode, tuple[TcpState, bool]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin another reading; connections that were not in the last one are forgotten."""
        self._seen, self._now = self._now, {}

    def is_due(self, inode: Inode, state: TcpState) -> bool:
        """Return whether a response is due on a connection."""
        separately = self._separately(inode, state)
        self._now[inode] = state, separately
        if state.sent_ms != state.received_ms:
            return state.sent_ms < state.received_ms
        return bool(state.unacknowledged) or state.acknowledged_ms < state.received_ms or separately

    def _separately(self, inode: Inode, state: TcpState) -> bool:
        """Return whether the latest requests were acknowledged before their responses."""
        before, known = self._seen.get(inode, (None, False))
        sent = state.sent_data - (before.sent_data if before else 0)
        bare = state.bare - (before.bare if before else 0)
        return bare >= _SEPARATELY * sent if sent > 0 else known
