"""The addresses of a network namespace, to tell which container a connection leads to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

_MAX_LINES: Final = 20_000


def addresses_of(pid: int) -> frozenset[str]:
    """Return the numeric addresses of the namespace of a process, as far as they can be read."""
    found: set[str] = set()
    with suppress(OSError, ValueError):
        found |= set(_of_version_4(Path(f"/proc/{pid}/net/fib_trie")))
    with suppress(OSError, ValueError, IndexError):
        found |= set(_of_version_6(Path(f"/proc/{pid}/net/if_inet6")))
    return frozenset(found)


def _of_version_4(path: Path) -> Iterator[str]:
    """Yield the addresses above lines such as ``/32 host LOCAL``."""
    address = ""
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in islice(lines, _MAX_LINES):
            words = line.split()
            if words[:1] in (["|--"], ["+--"]):
                address = words[1].partition("/")[0]
            elif words == ["/32", "host", "LOCAL"]:
                yield address


def _of_version_6(path: Path) -> Iterator[str]:
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in islice(lines, _MAX_LINES):
            yield str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0])))
