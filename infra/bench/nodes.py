"""Two nodes offer a rate that one cannot: the same stage from one weak node and from two.

    python -m infra.bench.nodes [--cores 0.2] [--out FOLDER]    as root, with a Docker Engine (2 minutes)

The nodes are a swarm on this machine whose workers are held to a fraction of a core each. First one node is
given more than it can offer: what it sends then is its limit. The rate is above that, well below twice that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from infra.swarm.cluster import Cluster, open_cluster, unusable
from infra.swarm.groups import hold
from infra.swarm.namespaces import OPERATOR
from runner.stack.docker.bases import STAND_INS
from runner.stack.docker.engine import connect
from runner.stack.docker.images import Supplier
from runner.stack.protocols import Unguarded
from runner.stack.swarm.agent_image import build_agent_image

ROOT = Path(__file__).parents[2]
PORT = 8080
ABOVE = 1.4
"""The rate, as a multiple of what one node can offer at most."""
SUSTAINED = 0.99
TOO_MUCH = 60_000
"""RPS for one core, from which a node's own limit is found."""
SERVICE = """
import asyncio, sys, uvloop
BODY = b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok"
class Slow(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        asyncio.get_running_loop().call_later(0.1, self.transport.write, BODY)
async def main():
    server = await asyncio.get_running_loop().create_server(Slow, sys.argv[1], int(sys.argv[2]), backlog=4096)
    print("up", flush=True)
    await server.serve_forever()
uvloop.run(main())
"""
"""Responds after 100 ms, so that a lateness of some milliseconds does not matter."""
EXPERIMENT = """
version: 1
name: weak-nodes
topology: {{kind: external, url: "http://{address}:{port}", health: /}}
load: {{nodes: {nodes}, allow_hosts: ["{address}"], max_in_flight: 20000, request: {{path: /}}}}
cooldown: 0s
stages: [{{rps: {rate}, duration: {duration}, warmup: 2s}}]
"""
IMAGES = tuple(recipe.name for recipe in STAND_INS.values())
ONE, BOTH = '["node.hostname==node-2"]', '["node.role==worker"]'


@contextmanager
def service(cluster: Cluster) -> Iterator[None]:
    """Run the service on the operator's machine, which the nodes reach."""
    command = [sys.executable, "-c", SERVICE, cluster.address(OPERATOR), str(PORT)]
    inside = cluster.network.inside(OPERATOR, command)
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.terminate()


def fill(cluster: Cluster) -> None:
    """Make the image of agents on the manager's engine."""

    async def build() -> None:
        engine = await connect(cluster.url(cluster.manager))
        with tempfile.TemporaryDirectory() as scratch:
            supplier = Supplier(engine, Unguarded(), print, "local", Path(scratch))
            await build_agent_image(supplier, print)
        engine.close()

    trio.run(build)


def stage_from(cluster: Cluster, nodes: str, rate: int, out: Path, duration: str = "15s") -> dict[str, Any]:
    """Run the experiment and return its stage."""
    out.mkdir(parents=True, exist_ok=True)
    path, address = out / "experiment.yaml", cluster.address(OPERATOR)
    path.write_text(EXPERIMENT.format(address=address, port=PORT, nodes=nodes, rate=rate, duration=duration))
    options = ["--out", str(out / "run"), "--i-am-authorized", "--no-lock"]
    command = [sys.executable, "-m", "runner", "execute", str(path), *options]
    environment = {**os.environ, "DOCKER_HOST": cluster.url(cluster.manager)}
    subprocess.run(cluster.network.inside(OPERATOR, command), env=environment, cwd=ROOT, check=False)
    (configuration,) = json.loads((out / "run" / "results.json").read_text())["configurations"]
    (stage,) = configuration["stages"]
    return stage


def prove(cluster: Cluster, cores: float, out: Path) -> bool:
    """Run all three, print what they found, and return whether they prove it."""
    for node in cluster.nodes[1:]:
        hold(cluster, node, cores)
    with service(cluster):
        limit = stage_from(cluster, ONE, round(TOO_MUCH * cores), out / "limit", "5s")["actual_rps"]
        rate = round(ABOVE * limit)
        one = stage_from(cluster, ONE, rate, out / "one")
        both = stage_from(cluster, BOTH, rate, out / "both")
    print(f"\nEach node has {cores:g} of a core, and one can offer {limit:,.0f} RPS.\n")
    print("| nodes | rate | achieved | validity | why |\n| --- | --- | --- | --- | --- |")
    for name, stage in (("one", one), ("both", both)):
        validity = stage["validity"]
        reasons = "; ".join(validity["reasons"]) or "–"
        print(f"| {name} | {rate:,} | {stage['achieved']:.1%} | {validity['status']} | {reasons} |")
    offered_all = both["validity"]["status"] != "invalid" and both["requests"]["dropped"] == 0
    return one["validity"]["status"] == "invalid" and offered_all and both["achieved"] >= SUSTAINED


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", type=float, default=0.2, help="that each of the two nodes has")
    parser.add_argument("--out", type=Path, help="where the runs are kept (default: nowhere)")
    options = parser.parse_args()
    if reason := unusable():
        print(f"no swarm can be brought up here: {reason}", file=sys.stderr)
        return 3
    subprocess.run([sys.executable, ROOT / "infra" / "images" / "build.py"], check=True, capture_output=True)
    cluster = Cluster(f"weak{os.getpid()}", 3)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, open_cluster(cluster, IMAGES, lambda: fill(cluster)):
        proved = prove(cluster, options.cores, options.out or Path(scratch))
    print(f"\nProved: {'yes' if proved else 'NO'} ({time.monotonic() - began:.0f} s)")
    return 0 if proved else 1


if __name__ == "__main__":
    sys.exit(main())
