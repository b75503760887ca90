"""How long agents, and a stack of four replicas and a proxy, take to come up on a swarm, and to be removed.

    python -m infra.bench.bring_up [--rounds 5] [--nodes 3]    as root, with a Docker Engine (1 minute)

All nodes are engines on this machine, which share its cores: on machines of their own they are faster. CPU is
that of all engines and containers together, from the first order to the end of the step.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from infra.bench.nodes import IMAGES, ROOT, fill
from infra.swarm.cluster import Cluster, open_cluster, unusable
from runner.cluster import opening
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext, Unguarded
from runner.stack.swarm import open_swarm
from runner.stack.swarm.agent_image import agent_image
from runner.stack.swarm.placer import open_placer

PYTHON = "loadproof-base/python:bookworm"
STACK = SwarmTopology.model_validate(
    {
        "kind": "swarm",
        "app": {
            "image": PYTHON,
            "port": 8080,
            "replicas": 4,
            "health": "/",
            "command": ["python3", "-m", "http.server", "8080"],
        },
        "proxy": {"kind": "nginx"},
    }
)
PROMISED_S = {"agents have joined": 3.0, "agents and their workers are ready": None, "stack is ready": 8.0}
_IDLE = 0.1
"""Cores that three engines without work use at most; just after they got images they use more."""
_IDLE_WITHIN_S = 60
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Times:
    """Seconds of each step, by its name, one for each round; and CPU seconds of the swarm."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def measured(self, cluster: Cluster) -> Iterator[Callable[[str], None]]:
        """Provide a function that notes how long a step has taken since the block began."""
        began, cpu_s = time.monotonic(), cpu_of(cluster)

        def note(step: str) -> None:
            self.wall.setdefault(step, []).append(time.monotonic() - began)
            self.cpu.setdefault(step, []).append(cpu_of(cluster) - cpu_s)

        yield note


def cpu_of(cluster: Cluster) -> float:
    """Return the CPU seconds of all processes of all nodes, ended ones included."""
    waiting, ticks = [cluster.pid(node) for node in cluster.nodes], 0
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):  # it has ended, and its parent has its seconds
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
            for thread in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
    return ticks / _TICKS_PER_S


async def round_of(cluster: Cluster, context: StackContext, times: Times) -> None:
    """Bring agents and the stack up once, and remove them."""
    async with open_placer(context) as placer:
        nodes = await placer.nodes()
        image = (await agent_image(placer, nodes, None, context.say)).name
        networks = (await placer.network("data"),)
        with times.measured(cluster) as note:
            agents = opening.open_cluster(
                placer, run_id=context.run_id, image=image, nodes=nodes, networks=networks, say=context.say
            )
            async with agents as running:
                note("agents have joined")
                await running.first_clocks()
                async with trio.open_nursery() as nursery:
                    for node in nodes:
                        nursery.start_soon(running.open_workers, node.name, 1)
                note("agents and their workers are ready")
                with times.measured(cluster) as note_stack:
                    async with open_swarm(STACK, replace(context, placer=placer, cluster=running)):
                        note_stack("stack is ready")
                        began = time.monotonic()
        times.wall.setdefault("everything is removed", []).append(time.monotonic() - began)


async def idle(cluster: Cluster) -> None:
    """Wait until the engines have finished what the new swarm and its images gave them to do."""
    for _ in range(_IDLE_WITHIN_S):
        before_s = cpu_of(cluster)
        await trio.sleep(1)
        if cpu_of(cluster) - before_s < _IDLE:
            return


async def measure(cluster: Cluster, rounds: int, scratch: Path) -> Times:
    times = Times()
    await idle(cluster)
    for _ in range(rounds):
        run_id = f"bench-{uuid.uuid4().hex[:8]}"
        context = StackContext(run_id, "bench", ROOT, scratch, Unguarded(), lambda _: None)
        await round_of(cluster, context, times)
    return times


def table(times: Times) -> str:
    lines = ["| step | median | slowest | promised | CPU of the swarm |", "| --- | --- | --- | --- | --- |"]
    for step, seconds in times.wall.items():
        promised, cpu_s = PROMISED_S.get(step), times.cpu.get(step)
        lines.append(
            f"| {step} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s "
            f"| {f'≤ {promised:g} s' if promised else '–'} "
            f"| {f'{statistics.median(cpu_s):.1f} s' if cpu_s else '–'} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    if reason := unusable():
        print(f"no swarm can be brought up here: {reason}", file=sys.stderr)
        return 3
    subprocess.run([sys.executable, ROOT / "infra" / "images" / "build.py"], check=True, capture_output=True)
    cluster = Cluster(f"up{os.getpid()}", options.nodes)
    with tempfile.TemporaryDirectory() as scratch, open_cluster(cluster, IMAGES, lambda: fill(cluster)):
        os.environ["DOCKER_HOST"] = cluster.url(cluster.manager)
        times = trio.run(measure, cluster, options.rounds, Path(scratch))
        print(table(times))
        joined = times.wall["agents have joined"]
        print(f"\nagents have joined, round by round: {', '.join(f'{one:.1f}' for one in joined)} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
