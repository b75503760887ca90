"""Brings the files that workers read to the nodes they run on: rows of variables, and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import trio
from msgspec.structs import replace

from runner.core.endpoint import Tls
from runner.core.errors import EnvironmentLacks
from runner.core.units import BYTES_PER_MIB
from runner.load.file_keeper import LARGEST, PART, FileKept, FileOrder, FilePart
from runner.load.site import Worker
from runner.load.values import RowValues, WorkerVariable
from runner.load.worker_order import WorkerOrder


@dataclass(slots=True)
class NodeFiles:
    """The files that were brought to nodes; each is brought once.

    Attributes:
        open_keeper: Starts a process that runs `runner.load.file_keeper` on a node.
    """

    open_keeper: Callable[[str], Awaitable[Worker]]
    _keepers: dict[str, Worker] = field(default_factory=dict)
    _paths: dict[tuple[str, str], str] = field(default_factory=dict)
    _locks: dict[str, trio.Lock] = field(default_factory=dict)

    def forget(self, node: str) -> None:
        """Bring files to a node anew: the processes that kept them there have ended."""
        self._keepers.pop(node, None)
        for key in [key for key in self._paths if key[0] == node]:
            del self._paths[key]

    async def localized(self, node: str, order: WorkerOrder) -> WorkerOrder:
        """Return an order with the paths that its files have on a node.

        Raises:
            EnvironmentLacks: A file is too large, cannot be read, or does not arrive.
        """
        async with self._locks.setdefault(node, trio.Lock()):
            variables = {name: await self._variable(node, one) for name, one in order.variables.items()}
            return replace(order, variables=variables, tls=await self._tls(node, order.tls))

    async def _variable(self, node: str, variable: WorkerVariable) -> WorkerVariable:
        if not isinstance(variable, RowValues):
            return variable
        path, index = await self._bring(node, variable.path), await self._bring(node, variable.index)
        return replace(variable, path=path, index=index)

    async def _tls(self, node: str, tls: Tls | None) -> Tls | None:
        if tls is None or tls.insecure:
            return tls
        authorities = tls.ca_file or _system_authorities()
        return replace(tls, ca_file=await self._bring(node, authorities)) if authorities else tls

    async def _bring(self, node: str, path: str) -> str:
        if (node, path) not in self._paths:
            content = await trio.to_thread.run_sync(_read, path)
            if node not in self._keepers:
                self._keepers[node] = await self.open_keeper(node)
            try:
                self._paths[node, path] = await _send(self._keepers[node], content)
            except (trio.BrokenResourceError, ValueError):
                raise EnvironmentLacks(
                    f"{path} could not be brought to {node}",
                    hint="see that the node runs and has memory for the file, then run again",
                ) from None
        return self._paths[node, path]


def _system_authorities() -> str:
    """Return the file of this machine's authorities, so that all nodes trust the same; empty if unknown."""
    paths = ssl.get_default_verify_paths()
    candidates = (paths.cafile, f"{paths.capath}/ca-certificates.crt" if paths.capath else None)
    return next((path for path in candidates if path and Path(path).is_file()), "")


def _read(path: str) -> bytes:
    """Return a file's content. Blocks."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise EnvironmentLacks(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise EnvironmentLacks(
            f"{path} is larger than {LARGEST // BYTES_PER_MIB:,} MiB, too large for the memory of a node",
            hint="use a smaller file, or offer the load from this machine: leave out load.nodes",
        )
    return content


async def _send(keeper: Worker, content: bytes) -> str:
    await keeper.write_line(msgspec.json.encode(FileOrder(len(content))) + b"\n")
    for begin in range(0, len(content), PART):
        await keeper.write_line(msgspec.json.encode(FilePart(content[begin : begin + PART])) + b"\n")
    line = await keeper.read_line()
    if line is None:
        raise trio.BrokenResourceError
    return msgspec.json.decode(line, type=FileKept).path
