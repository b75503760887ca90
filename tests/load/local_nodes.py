"""Nodes that are this machine, with clocks of their own: what `runner.load.nodes` sees of a cluster."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import trio

from runner.cluster.facts import AgentInfo, ClockOffset, LostAgent
from runner.core.units import NS_PER_S
from runner.load.node_files import NodeFiles
from runner.load.nodes import GeneratorNodes
from runner.load.worker_process import WorkerProcess

ERROR_NS = 60_000
HUB_NS = 7 * NS_PER_S


@cache
def can_skew() -> bool:
    """Whether processes can be given a clock that is ahead."""
    return not subprocess.run(["unshare", *_skewed(1), "true"], capture_output=True, check=False).returncode


def _skewed(seconds: int) -> list[str]:
    return ["--time", "--monotonic", str(seconds), "--fork", "--kill-child"]


@dataclass
class LocalCluster:
    """Agents on this machine; the clock of a node is as many seconds ahead as `skews` says."""

    skews: dict[str, int]
    cores: dict[str, int] = field(default_factory=dict)
    drift_ns: int = 0
    lost: dict[str, LostAgent] = field(default_factory=dict)
    started: dict[str, list[WorkerProcess]] = field(default_factory=dict)
    measured: int = 0

    @property
    def agents(self) -> dict[str, AgentInfo]:
        return {
            name: AgentInfo(
                hostname=name,
                pid=1,
                cores=self.cores.get(name, 1),
                memory_bytes=2**30,
                architecture="x86_64",
                kernel="6",
                python="3.11",
            )
            for name in self.skews
        }

    async def clocks(self, nodes):
        self.measured += 1
        return {
            node: ClockOffset(
                offset_ns=HUB_NS + self.skews[node] * NS_PER_S - HUB_NS + self.drift_ns * (self.measured > 1),
                error_ns=ERROR_NS + 5_000,
                node_error_ns=ERROR_NS,
                hub_offset_ns=HUB_NS,
                round_trip_ns=2 * ERROR_NS,
                at_ns=time.monotonic_ns(),
            )
            for node in nodes
            if node not in self.lost
        }

    async def open(self, node: str, module: str = "runner.load.worker") -> WorkerProcess:
        skew = self.skews[node]
        prefix = ["unshare", *_skewed(skew)] if skew else []
        process = await trio.lowlevel.open_process(
            [*prefix, sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        worker = WorkerProcess(process)
        self.started.setdefault(node, []).append(worker)
        return worker

    @asynccontextmanager
    async def take(self, nodes) -> AsyncIterator[list[WorkerProcess]]:
        yield [await self.open(node) for node in nodes]

    @asynccontextmanager
    async def open_one(self, node: str, module: str) -> AsyncIterator[WorkerProcess]:
        worker = await self.open(node, module)
        yield worker
        await worker.process.stdin.aclose()

    def lose(self, node: str, reason: str = "silent for 3 s") -> None:
        """Make a node unreachable at once."""
        self.lost[node] = LostAgent(node=node, reason=reason, at_ns=time.monotonic_ns())
        for worker in self.started.get(node, ()):
            worker.process.kill()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            for worker in (worker for workers in self.started.values() for worker in workers):
                worker.process.kill()
                await worker.process.wait()


@asynccontextmanager
async def local_nodes(skews, **fields) -> AsyncIterator[GeneratorNodes]:
    """Provide nodes; those that are ahead need `can_skew`."""
    cluster = LocalCluster({name: skew if can_skew() else 0 for name, skew in skews.items()}, **fields)
    try:
        files = NodeFiles(lambda node: cluster.open(node, "runner.load.file_keeper"))
        yield GeneratorNodes(cluster, tuple(skews), cluster, files)
    finally:
        await cluster.close()
