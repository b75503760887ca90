"""The process in a container that a docker-proxy forwards connections to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.stack.listen_table import listeners
from runner.stack.port_owners import owners

_ADDRESS: Final = "-container-ip"
_PORT: Final = "-container-port"
_PROC: Final = Path("/proc")


def forwarded_to(forwarder: int, candidates: Iterable[int]) -> set[int]:
    """Return the processes that listen where a docker-proxy forwards connections; empty if none is visible.

    Args:
        forwarder: The docker-proxy's pid.
        candidates: All processes of this host.
    """
    address, port = _destination(forwarder)
    inodes = {
        one.inode
        for pid in _one_of_each_network(candidates)
        if _has_address(pid, address)
        for one in listeners(_PROC / str(pid))
        if one.port == port
    }
    return owners(inodes) if inodes else set()


def _destination(forwarder: int) -> tuple[str, int]:
    """Return the address and port in docker-proxy's arguments; nothing has port 0."""
    with suppress(OSError, ValueError, IndexError):
        words = (_PROC / str(forwarder) / "cmdline").read_text(errors="replace").split("\0")
        return words[words.index(_ADDRESS) + 1], int(words[words.index(_PORT) + 1])
    return "", 0


def _one_of_each_network(pids: Iterable[int]) -> Iterable[int]:
    """Return a process of each network namespace that may be read, except this process's own."""
    networks: dict[str, int] = {}
    for pid in pids:
        with suppress(OSError):
            networks.setdefault(os.readlink(f"/proc/{pid}/ns/net"), pid)  # noqa: PTH115  (a path is no file)
    networks.pop(os.readlink("/proc/self/ns/net"), None)  # noqa: PTH115
    return networks.values()


def _has_address(pid: int, address: str) -> bool:
    """Return whether an IPv4 address belongs to the network namespace of a process."""
    with suppress(OSError):
        table = (_PROC / str(pid) / "net" / "fib_trie").read_text(errors="replace")
        return bool(re.search(rf"\|-- {re.escape(address)}\n\s+/32 host LOCAL", table))
    return False
