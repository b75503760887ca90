"""Answers what a node's kernel has that some uses of a swarm need."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from runner.cluster.agent_asks import Call

KERNEL: Final = "kernel"
_IPVS: Final = Path("/host/proc/1/net/ip_vs")


class KernelAnswer(Struct, frozen=True):
    """What a kernel has.

    Attributes:
        ip_vs: Whether it balances virtual addresses.
    """

    ip_vs: bool


async def describe_kernel(_payload: Raw, _call: Call) -> bytes:
    """Answer with a `KernelAnswer`."""
    return msgspec.json.encode(KernelAnswer(ip_vs=_IPVS.exists()))
