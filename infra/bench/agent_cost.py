"""What an agent's observation of its node costs: `python -m infra.bench agent`, as root."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import trio

from infra.bench.counting import REPLICAS, app_server, loaded
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, PlacedPart
from runner.observe.node.messages import ObserveOrder, encode
from runner.observe.node.observer import observe_node
from runner.observe.roots import Roots

WINDOW_S = 30
INTERVAL_S = 0.5
MOST = 0.01
"""Of one core."""
FILES_ONLY = Roots("/proc", "/sys", are_foreign=True)
"""Everything is read as in an agent's container; only the process numbers are those of this machine."""


def cost_of_an_agent() -> Iterator[tuple[str, str, str, bool]]:
    """Two replicas under load in control groups of their own, like containers, in this process alone."""
    if os.geteuid() != 0:
        yield "CPU of an agent's observation of its node", "not measured, needs root", f"≤ {MOST:.0%}", False
        return
    with contextlib.ExitStack() as stack:
        placed = []
        for number in range(1, REPLICAS + 1):
            port, pid = stack.enter_context(app_server())
            stack.enter_context(loaded(port))
            container = stack.enter_context(control_group(pid))
            placed.append(PlacedPart(f"app-{number}", Role.APP, "node-1", container, pid, (port,)))
        time.sleep(1)
        share, facts = observed(tuple(placed))
    yield (
        f"CPU of an agent that observes {REPLICAS} containers, {len(facts.counters)} counters, all programs",
        f"{share:.2%} of a core",
        f"≤ {MOST:.0%}",
        share <= MOST,
    )


def observed(placed: tuple[PlacedPart, ...]) -> tuple[float, ObservedFacts]:
    """Return the cores that an observation used, and its facts."""
    start = time.monotonic_ns() + 10**8
    window = Window(start, start, start + WINDOW_S * 10**9)
    order = ObserveOrder(window, INTERVAL_S, run_id="bench", placed=placed)

    async def send(_: bytes) -> None:
        await trio.lowlevel.checkpoint()

    before = time.process_time()
    answer = trio.run(observe_node, encode(order), send, trio.sleep_forever, FILES_ONLY)
    return (time.process_time() - before) / WINDOW_S, msgspec.json.decode(answer, type=ObservedFacts)


@contextlib.contextmanager
def control_group(pid: int) -> Iterator[str]:
    """Put a process into a control group that is named as a container's; yields its id."""
    container = secrets.token_hex(32)
    root = Path("/sys/fs/cgroup")
    hierarchies = [root] if (root / "cgroup.controllers").exists() else [*root.glob("*/")]
    folders = [
        path / container for path in {one.resolve() for one in hierarchies} if "cpuset" not in path.name
    ]
    for folder in folders:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(str(pid))
    try:
        yield container
    finally:
        for folder in folders:
            for member in (folder / "cgroup.procs").read_text().split():
                (folder.parent / "cgroup.procs").write_text(member)
            folder.rmdir()
